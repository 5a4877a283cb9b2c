"""Fine-tuning: what it asks for and what it says. The training itself is `make finetune`, minutes."""

from pathlib import Path

import numpy as np
import pytest

from device.errors import DataError
from training.finetune import Outcome, _digest, _previous
from training.photos import Photo


def test_without_a_training_the_remedy_is_named(tmp_path: Path) -> None:
    """Fine-tuning goes on from a training of the user's own."""
    with pytest.raises(DataError, match=r"grays\.npy: missing.*`make train`"):
        _previous(tmp_path, tmp_path)


def test_what_make_train_left_is_read(tmp_path: Path) -> None:
    """The views, the teacher's answers and the student come from one folder."""
    np.save(tmp_path / "grays.npy", np.zeros((2, 72, 72), np.uint8))
    np.save(tmp_path / "teacher-logits.npy", np.zeros((2, 11), np.float32))
    (tmp_path / "student.keras").write_bytes(b"weights")
    grays, logits, student = _previous(tmp_path, tmp_path)
    assert grays.shape == (2, 72, 72)
    assert logits.shape == (2, 11)
    assert student.read_bytes() == b"weights"


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
