"""`make train`, and `make halves` and `make finetune` after it: all stages, on few views and in few steps."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from device.labels import LABELS
from device.model_card import card_path, load_model, read_card
from test_training import python
from training.photos import load_photos, split_by_contributor

# Everything is the project's own, but the plan of the views: of tens of thousands, the first few.
STAGES = """
import sys
from pathlib import Path
import numpy as np
from training import data, finetune, halves, render, student, train, views
from training.config import CameraRecipe, TrainingConfig
from training.photos import load_photos

render.plan_views = lambda *arguments: views.plan_views(*arguments)[:200]
student._BLOCK_STEPS = 2
folder, stage = Path(sys.argv[1]), sys.argv[2]
rng = np.random.default_rng(0)
some = lambda n: data.Split(rng.integers(0, 256, (n, 28, 28), np.uint8), np.arange(n) % 10)
splits = data.Splits(some(400), some(20), some(30))
photos = load_photos(folder / "photos")
config = TrainingConfig(camera=CameraRecipe(0.1, 4, 2))
run = folder / "run"
if stage == "train":
    of = train.student_folder(run, "camera", config)
    train.train(splits, photos, config, "camera", run=run, folder=of, models=folder / "models")
elif stage == "finetune":
    print(finetune.finetune(splits, photos, photos[:40], config, run=run, models=folder / "finetuned", steps=2))
else:
    np.save(folder / "halves.npy", halves.answers(splits, photos, config, "camera", run=run))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of 40 people, noise, and nothing of none of the ten; and what `make train` made of them."""
    folder = tmp_path_factory.mktemp("train")
    rng = np.random.default_rng(0)
    (folder / "photos" / "images").mkdir(parents=True)
    rows = ["image,contributor,target"]
    for number in range(160):
        cv2.imwrite(str(folder / f"photos/images/{number}.jpg"), rng.integers(0, 256, (80, 60, 3), np.uint8))
        rows.append(f"{number},somebody {number // 4},{LABELS[number % 10]}")
    (folder / "photos" / "photos.csv").write_text("\n".join(rows) + "\n")
    python(STAGES, folder, "train")
    return folder


def test_what_ships_went_on_from_what_was_measured(folder: Path):
    measured, ships = folder / "run/validated/camera.tflite", folder / "models/model.tflite"
    assert load_model(ships)[0] != load_model(measured)[0]
    card = read_card(card_path(ships))
    assert card.validated_sha256 == read_card(card_path(measured)).sha256
    assert card.recipe == "training.train: teacher 0.1 passes, student 4 steps, 2 more with everybody"


def test_what_no_photograph_shows_is_not_in_the_card(folder: Path):
    measured = {entry.dataset for entry in read_card(card_path(folder / "models/model.tflite")).measurements}
    assert measured == {"photographs of unseen people", "Fashion-MNIST test"}


def test_each_held_out_photograph_is_answered_by_who_has_not_seen_its_contributor(folder: Path):
    python(STAGES, folder, "halves")
    truth, before, after = np.load(folder / "halves.npy")
    _, held_out = split_by_contributor(load_photos(folder / "photos"))
    assert sorted(truth) == sorted(photo.target for photo in held_out)
    assert before.shape == after.shape == truth.shape


def test_fine_tuning_goes_on_from_both(folder: Path):
    said = python(STAGES, folder, "finetune")
    replaced, ships = "replaces the old one" in said, folder / "finetuned/model.tflite"
    assert replaced == ships.exists()
    assert replaced or "kept the old model" in said
    if replaced:
        card = read_card(card_path(ships))
        assert card.recipe == "training.finetune: 40 photographs, 2 steps on top of training.train"
        assert card.validated_sha256 == read_card(card_path(folder / "run/validated/camera.tflite")).sha256
