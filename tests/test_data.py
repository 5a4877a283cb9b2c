"""Fashion-MNIST: found, checked, split, downloaded; a damaged file is named."""

from __future__ import annotations

import gzip
import hashlib
import re
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from device.cameras.synthetic import _read_sheet
from device.errors import DataError
from training.config import TrainingConfig
from training.data import MD5, UNPACKED_MD5, Splits, download, find_folder, load_fashion_mnist, main, read_file


@pytest.fixture(scope="module")
def folder() -> Path:
    found = find_folder(TrainingConfig())
    if found is None:
        pytest.skip("needs Fashion-MNIST: run `make data`")
    return found


@pytest.fixture(scope="module")
def splits(folder: Path) -> Splits:
    return load_fashion_mnist(TrainingConfig())


@pytest.fixture(scope="module")
def public_files(folder: Path) -> dict[str, bytes]:
    """The files as the data set's home has them: Debian's, with name and time put back into the gzip header."""
    files = {}
    for name, md5 in MD5.items():
        packed = (folder / name).read_bytes()
        if hashlib.md5(packed).hexdigest() != md5:
            modified = struct.pack("<I", 1504176606 if name.startswith("train") else 1504176627)
            packed = b"\x1f\x8b\x08\x08" + modified + b"\x00\x03" + name[:-3].encode() + b"\0" + packed[10:]
        files[name] = packed
    return files


class Home:
    """A web server with `files`. whole_only: it ignores Range. starts: the first byte of each answer."""

    def __init__(self, files: dict[str, bytes], *, whole_only: bool = False) -> None:
        home = self
        self.starts: list[int] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = files.get(self.path[1:])
                if content is None:
                    self.send_error(404)
                    return
                asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
                start = int(asked[1]) if asked and not whole_only else 0
                if asked and start >= len(content):
                    self.send_error(416)
                    return
                home.starts.append(start)
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                self.wfile.write(content[start:])

            def log_message(self, *arguments: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> Home:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def home(public_files: dict[str, bytes]) -> Iterator[Home]:
    with Home(public_files) as home:
        yield home


def copy_of(folder: Path, target: Path) -> Path:
    for name in MD5:
        (target / name).write_bytes((folder / name).read_bytes())
    return target


def test_the_splits_are_whole_stratified_and_apart(splits: Splits):
    assert splits.train.images.shape == (54_000, 28, 28)
    assert splits.validation.images.shape == (6_000, 28, 28)
    assert splits.test.images.shape == (10_000, 28, 28)
    assert splits.all_training.images.shape == (60_000, 28, 28)
    assert set(np.bincount(splits.validation.labels)) == {600}
    train = {image.tobytes() for image in splits.train.images}
    repeated = sum(image.tobytes() in train for image in splits.validation.images)
    assert repeated < 20  # the data set itself has a few doubles


def test_the_split_is_the_same_each_time(splits: Splits):
    again = load_fashion_mnist(TrainingConfig(seed=7))
    np.testing.assert_array_equal(splits.validation.images, again.validation.images)


def test_the_sample_of_the_synthetic_camera_is_of_the_test_set(splits: Splits):
    """No model of ours may have seen what the demo shows."""
    test = {image.tobytes() for image in splits.test.images}
    assert all(image.tobytes() in test for image in _read_sheet().reshape(-1, 28, 28))


def test_a_truncated_file_is_named_with_both_md5s(folder: Path, tmp_path: Path):
    copy = copy_of(folder, tmp_path)
    path = copy / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1000])
    found = hashlib.md5(path.read_bytes()).hexdigest()
    with pytest.raises(
        DataError,
        match=rf"t10k-images-idx3-ubyte\.gz: truncated or damaged: expected MD5 {MD5[path.name]}, found {found} .*"
        "put the original file there",
    ):
        load_fashion_mnist(TrainingConfig(fashion_mnist_dir=str(copy)))


@pytest.mark.parametrize("content", [b"", b"no gzip", gzip.compress(b"other"), gzip.compress(b"")])
def test_another_file_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{path.name}: .*expected MD5 {MD5[path.name]}, found [0-9a-f]{{32}}"):
        read_file(path)


def test_a_folder_that_is_named_must_have_the_files(tmp_path: Path):
    with pytest.raises(DataError, match=r"fashion_mnist_dir .*train-images-idx3-ubyte.gz"):
        find_folder(TrainingConfig(fashion_mnist_dir=str(tmp_path)))


def test_the_command_says_error_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = tmp_path / "config.yaml"
    config.write_text("training:\n  fashion_mnist_dir: here\n")
    assert main(["--config", str(config)]) == 1
    assert capsys.readouterr().err.startswith(f"error: training.fashion_mnist_dir {tmp_path / 'here'}: has no train-")


def test_a_download_has_the_public_md5s(home: Home, tmp_path: Path):
    download(tmp_path / "new", [home.url])
    for name, md5 in MD5.items():
        assert hashlib.md5((tmp_path / "new" / name).read_bytes()).hexdigest() == md5
        assert hashlib.md5(read_file(tmp_path / "new" / name)).hexdigest() == UNPACKED_MD5[name]
    assert len(list((tmp_path / "new").iterdir())) == 4


def test_an_interrupted_download_goes_on_where_it_stopped(home: Home, public_files: dict[str, bytes], tmp_path: Path):
    for number, (name, content) in enumerate(public_files.items()):
        (tmp_path / f"{name}.part").write_bytes(content[: 1000 + number] if number else content)  # the first is whole
    download(tmp_path, [home.url])
    assert home.starts == [1001, 1002, 1003]
    download(tmp_path, [home.url])
    assert len(home.starts) == 3  # nothing was missing


def test_a_server_that_cannot_resume_sends_the_whole(public_files: dict[str, bytes], tmp_path: Path):
    for name in MD5:
        (tmp_path / f"{name}.part").write_bytes(b"the beginning of another file")
    with Home(public_files, whole_only=True) as home:
        download(tmp_path, [home.url])
    assert home.starts == [0, 0, 0, 0]


def test_a_damaged_file_is_downloaded_again(home: Home, folder: Path, tmp_path: Path):
    copy_of(folder, tmp_path)
    damaged = tmp_path / "train-labels-idx1-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:100])
    download(tmp_path, [home.url])
    assert hashlib.md5(damaged.read_bytes()).hexdigest() == MD5[damaged.name]
    assert home.starts == [0]


def test_the_next_source_is_asked_and_all_problems_are_told(tmp_path: Path):
    with (
        Home(dict.fromkeys(MD5, b"a page that says: log in first")) as wrong,
        Home({}) as empty,
        pytest.raises(DataError, match=rf"(?s){wrong.url}train-images.*found .*{empty.url}.*Not Found.*by hand"),
    ):
        download(tmp_path, [wrong.url, empty.url])
    assert list(tmp_path.iterdir()) == []
