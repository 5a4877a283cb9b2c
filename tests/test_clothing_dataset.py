"""`make photos`: one commit of the public photographs becomes a folder that training reads.

From a git repository that lies as the public one does; a real git fetches from it.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.errors import DataError
from device.labels import LABELS
from training import clothing_dataset
from training.clothing_dataset import COMMIT, fetch, main, write_table
from training.photos import Photo, load_photos

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

with Path(clothing_dataset.__file__).with_name("shoe_kinds.csv").open() as _file:
    SANDAL = next(row["image"] for row in csv.DictReader(_file) if row["target"] == "Sandal")
ROWS = [
    ("jacket", 7, "Outwear"), ("hat", 7, "Hat"), (SANDAL, 8, "Shoes"), ("shoe", 8, "Shoes"), ("blurred", 8, "Not sure"),
    ("lost", 9, "Pants"),
]  # fmt: skip


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "public"
    (folder / "images").mkdir(parents=True)
    table = [("image", "sender_id", "label", "kids"), *((*row, "False") for row in ROWS)]
    (folder / "images.csv").write_text("\n".join(",".join(map(str, row)) for row in table) + "\n")
    for image, *_ in ROWS:
        if image != "lost":
            cv2.imwrite(str(folder / f"images/{image}.jpg"), np.full((40, 30, 3), len(image) * 6, np.uint8))
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "all")
    return folder


def commit_of(repository: Path) -> str:
    return git(repository, "rev-parse", "HEAD")


def test_the_public_photographs_become_a_table_that_training_reads(repository: Path, tmp_path: Path):
    fetch(tmp_path / "photos", repository.as_uri(), commit_of(repository))
    assert write_table(tmp_path / "photos") == {"Not sure": 1, "without a picture": 1}
    images = tmp_path / "photos" / "images"
    assert load_photos(tmp_path / "photos") == [
        Photo(images / "jacket.jpg", LABELS.index("Coat"), "7"),
        Photo(images / "hat.jpg", 10, "7"),
        Photo(images / f"{SANDAL}.jpg", LABELS.index("Sandal"), "8"),
        Photo(images / "shoe.jpg", 11, "8"),
    ]


def test_what_was_damaged_comes_back_and_nothing_is_fetched_again(repository: Path, tmp_path: Path):
    commit, folder = commit_of(repository), tmp_path / "photos"
    fetch(folder, repository.as_uri(), commit)
    whole = (folder / "images/jacket.jpg").read_bytes()
    shutil.rmtree(repository)
    (folder / "images/jacket.jpg").write_bytes(whole[:100])
    (folder / "images/hat.jpg").unlink()
    fetch(folder, repository.as_uri(), commit)
    assert (folder / "images/jacket.jpg").read_bytes() == whole
    assert (folder / "images/hat.jpg").is_file()


def test_other_files_than_the_commit_names_are_refused(repository: Path, tmp_path: Path):
    with pytest.raises(DataError, match="run `make photos` again, or put"):
        fetch(tmp_path / "photos", repository.as_uri(), COMMIT)
    assert not (tmp_path / "photos" / "images.csv").exists()


def test_unpacked_by_hand(repository: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--unpacked", "--out", str(repository)]) == 0
    said = capsys.readouterr().out
    assert "4 photographs of 2 people" in said
    assert "left out: Not sure 1, without a picture 1" in said


def test_without_git_or_table_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert main(["--unpacked", "--out", str(tmp_path)]) == 1
    monkeypatch.setenv("PATH", "")
    assert main(["--out", str(tmp_path)]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors[0].startswith(f"error: {tmp_path / 'images.csv'}: missing")
    assert errors[1].startswith("error: photographs: git is not installed; install it, or put the data set's")
    assert errors[1].endswith(f"--unpacked --out {tmp_path}`")


def test_somebodys_own_photographs_are_left_alone(repository: Path, tmp_path: Path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "photos.csv").write_text("image,target\n")
    with pytest.raises(DataError, match="not empty, and not from `make photos`; move it away"):
        fetch(own, repository.as_uri(), commit_of(repository))
    assert [path.name for path in own.iterdir()] == ["photos.csv"]
