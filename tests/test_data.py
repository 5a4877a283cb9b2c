"""Fashion-MNIST: found, checked, split; a damaged file is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from device.cameras.synthetic import _read_sheet
from device.errors import DataError
from training.config import TrainingConfig
from training.data import FILES, check_file, find_folder, load_fashion_mnist


@pytest.fixture(scope="module")
def folder() -> Path:
    found = find_folder()
    if found is None:
        pytest.skip("needs Fashion-MNIST: run `make data`")
    return found


def test_the_splits_are_whole_stratified_and_apart(folder: Path):
    splits = load_fashion_mnist()
    assert splits.train.images.shape == (54_000, 28, 28)
    assert splits.validation.images.shape == (6_000, 28, 28)
    assert splits.test.images.shape == (10_000, 28, 28)
    assert splits.all_training.images.shape == (60_000, 28, 28)
    assert set(np.bincount(splits.validation.labels)) == {600}
    train = {image.tobytes() for image in splits.train.images}
    repeated = sum(image.tobytes() in train for image in splits.validation.images)
    assert repeated < 20  # the data set itself has a few doubles


def test_the_split_is_the_same_each_time(folder: Path):
    one, other = load_fashion_mnist(), load_fashion_mnist()
    np.testing.assert_array_equal(one.validation.images, other.validation.images)


def test_the_sample_of_the_synthetic_camera_is_of_the_test_set(folder: Path):
    """No model of ours may have seen what the demo shows."""
    test = {image.tobytes() for image in load_fashion_mnist().test.images}
    assert all(image.tobytes() in test for image in _read_sheet().reshape(-1, 28, 28))


def copy_of(folder: Path, target: Path) -> Path:
    for name in FILES:
        (target / name).write_bytes((folder / name).read_bytes())
    return target


def test_a_truncated_file_is_named(folder: Path, tmp_path: Path):
    copy = copy_of(folder, tmp_path)
    path = copy / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(
        DataError, match=r"t10k-images-idx3-ubyte\.gz: no whole gzip file .*delete it and run `make data`"
    ):
        load_fashion_mnist(TrainingConfig(fashion_mnist_dir=str(copy)))


def test_another_file_is_named_with_both_md5s(tmp_path: Path):
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(b"other"))
    with pytest.raises(DataError, match=rf"unpacked MD5 [0-9a-f]{{32}} \(5 bytes\), expected {FILES[path.name]}"):
        check_file(path)


def test_a_folder_that_is_named_must_have_the_files(tmp_path: Path):
    with pytest.raises(DataError, match="fashion_mnist_dir .*train-images-idx3-ubyte.gz"):
        find_folder(TrainingConfig(fashion_mnist_dir=str(tmp_path)))
