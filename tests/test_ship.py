"""What a trained student becomes: files and cards that say what was measured on whom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device.classifier import Classifier, mean_of_crops
from device.model_card import ModelCard, card_path, load_model, read_card
from test_training import python

SHIP = """
import sys
from pathlib import Path
import numpy as np
import keras
from training.data import Split, Splits
from training.model import tiny
from training.ship import Validation, ship, ship_everybody

folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
some = lambda n: Split(rng.integers(0, 256, (n, 28, 28), np.uint8), rng.integers(0, 10, n))
splits = Splits(some(80), some(20), some(60))
light = rng.uniform(0, 1, (80, 2, 1, 1)) * np.linspace(0, 1, 28) ** rng.uniform(0, 4, (80, 1, 1, 1))
seen = Validation((light * rng.integers(0, 256, (80, 2, 28, 28))).astype(np.uint8), np.arange(80) % 11)
ranges = splits.train.images[:20] // 16  # Of dark images alone: int8 must answer others otherwise.
keras.utils.set_random_seed(1)
student = tiny()
logits = student.predict(seen.images.reshape(-1, 28, 28, 1).astype(np.float32), verbose=0)
kernel, bias = student.layers[-1].get_weights()
student.layers[-1].set_weights([50 * kernel, 50 * (bias - logits.mean(axis=0))])  # Else it has one answer to all.
ship(student, ranges, seen, splits, "a recipe", seed=1, path=folder / "validated" / "tiny.tflite", run=folder)
np.save(folder / "seen.npy", seen.images)
keras.utils.set_random_seed(2)
ship_everybody(tiny(), ranges, splits, validated=folder / "validated" / "tiny.tflite", path=folder / "model.tflite")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files lie: validated/tiny.tflite and tiny-float32.tflite, and model.tflite, which ships."""
    folder = tmp_path_factory.mktemp("shipped")
    python(SHIP, folder)
    return folder


@pytest.fixture(scope="module")
def shipped(folder: Path) -> tuple[ModelCard, ModelCard]:
    """The cards of the file that was measured and of the one that ships."""
    load_model(folder / "model.tflite")
    return read_card(card_path(folder / "validated" / "tiny.tflite")), read_card(card_path(folder / "model.tflite"))


def test_the_card_of_what_learnt_from_everybody_says_whose_its_figures_are(shipped):
    measured, ships = shipped
    assert ships.validated_sha256 == measured.sha256 != ships.sha256
    assert measured.validated_sha256 is None
    assert "did not know the validation contributors" in ships.trained_on
    assert (ships.unsure_below, ships.output.temperature) == (measured.unsure_below, measured.output.temperature)


def test_the_card_says_how_many_int8_answers_otherwise_than_float(folder: Path, shipped):
    images = np.load(folder / "seen.npy")
    answers = [
        mean_of_crops(Classifier(folder / name).logits(images.reshape(-1, 28, 28)), images.shape[1]).argmax(axis=1)
        for name in ("validated/tiny.tflite", "tiny-float32.tflite")
    ]
    figures = {each.metric: each.value for each in shipped[0].measurements}
    assert figures["answered otherwise than by the float model"] == (answers[0] != answers[1]).mean() > 0


def test_only_what_it_has_not_seen_is_measured_anew(shipped):
    before, after = ({(each.dataset, each.metric): each.value for each in card.measurements} for card in shipped)
    assert before.keys() == after.keys()
    changed = {key for key in before if before[key] != after[key]}
    assert changed <= {("Fashion-MNIST test", "accuracy")}
