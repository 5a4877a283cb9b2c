"""Fine-tuning: what it asks for and what it says. The training itself is `make finetune`, minutes."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from device.errors import DataError
from training.finetune import Outcome, _digest, _load, _new_lessons, _previous
from training.photos import Photo
from training.train import EVERYBODY


def test_without_a_training_the_remedy_is_named(tmp_path: Path) -> None:
    """Fine-tuning goes on from a training of the user's own."""
    with pytest.raises(DataError, match=r"grays\.npy: missing.*`make train`"):
        _previous(tmp_path, tmp_path)
    with pytest.raises(DataError, match=r"everybody\.keras: missing.*`make train`"):
        _load(tmp_path, EVERYBODY)


def test_what_make_train_left_is_read(tmp_path: Path) -> None:
    """The copies of views come from the student's folder, what they show and the teacher's answers from the run's."""
    (tmp_path / "student").mkdir()
    np.save(tmp_path / "student" / "grays.npy", np.zeros((2, 72, 72), np.uint8))
    np.save(tmp_path / "targets.npy", np.array([3, 7]))
    np.save(tmp_path / "teacher-logits.npy", np.eye(11, dtype=np.float32)[[4, 5]])
    found = _previous(tmp_path, tmp_path / "student")
    assert found.grays.shape == (2, 72, 72)
    assert found.wanted.argmax(axis=1).tolist() == [4, 5], "what the teacher has learnt it says itself"
    unlearnt = _previous(tmp_path, tmp_path / "student", learnt=False)
    assert unlearnt.wanted.argmax(axis=1).tolist() == [3, 7], "of what it has not learnt the label counts"


def test_new_photographs_are_a_quarter_of_the_lessons_however_few(tmp_path: Path) -> None:
    path = tmp_path / "shirt.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (60, 40, 3), np.uint8))
    new = _new_lessons([Photo(path, 6, "")], np.zeros((1, 28, 28), np.uint8), 1, 3000)
    views = sum(len(each.grays) for each in new)
    assert 0.2 < views / (views + 3000) < 0.3
    assert all((each.wanted.argmax(axis=1) == 6).all() for each in new)


def test_other_photographs_are_another_checkpoint(tmp_path: Path) -> None:
    """An interrupted fine-tuning goes on only with the same photographs on the same model."""
    student = tmp_path / "student.keras"
    student.write_bytes(b"weights")
    photos = [Photo(Path("a.jpg"), 0, "")]
    first = _digest(photos, 1, 10, student)
    assert first == _digest(photos, 1, 10, student)
    assert first != _digest([Photo(Path("a.jpg"), 1, "")], 1, 10, student)
    student.write_bytes(b"others")
    assert first != _digest(photos, 1, 10, student)


@pytest.mark.parametrize(("kept", "words"), [(True, "kept the old model"), (False, "replaces the old one")])
def test_the_outcome_says_which_model_stays_and_why(kept: bool, words: str) -> None:
    """Both pairs of figures are in the sentence."""
    said = str(Outcome(kept, 0.70, 0.65, 0.40, 0.90))
    assert words in said
    assert "0.700 -> 0.650" in said
    assert "0.400 -> 0.900" in said
