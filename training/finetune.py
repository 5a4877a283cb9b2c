"""`make finetune PHOTOS=dir`: a user's own photographs, on top of the model that `make train` made. Minutes.

It goes on from the students in runs/camera/ on the old views and new ones together, so that nothing is forgotten. On
the old validation photographs it may lose one point at most; else the old model stays and the program says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from device.arrays import Array
from device.errors import DataError, GarmentcamError
from device.images import read_image
from device.preprocess import preprocessing
from training.compose import cut_out
from training.config import TrainingConfig, load_training_config
from training.data import Splits, load_fashion_mnist
from training.photos import Photo, find_photos, load_photos, readable, split_by_contributor
from training.render import PHOTO_PX
from training.ship import VIEW_PREPROCESSING, int8_ranges, keras_accuracy, see, ship, ship_everybody
from training.train import EVERYBODY, HELD_OUT, MODELS, RUN, STUDENT, VALIDATED, claim, student_folder
from training.views import Material, Plan, make_view

if TYPE_CHECKING:  # it imports TensorFlow, for which it is too soon here
    import keras

    from training.student import Lessons

ALLOWED_LOSS = 0.01
"""How much accuracy on the old validation photographs a fine-tuned model may lose: one point."""
STEPS = 2400
_PEAK_LEARNING_RATE = 11e-4  # An eighth of what training from nothing takes: it starts where that one ended.
_NEW_SHARE = 0.25  # So much of what the student sees is new, however few photographs there are.
_NEW_VIEWS = 12_000
_VIEWS_A_PHOTO = (4, 32)


class Outcome(NamedTuple):
    """Accuracies before and after, 0..1; of the new photographs nan when there are too few to hold some out."""

    kept_old_model: bool
    old_before: float
    old_after: float
    new_before: float
    new_after: float

    def __str__(self) -> str:
        figures = (
            f"old validation photographs {self.old_before:.3f} -> {self.old_after:.3f}, "
            f"yours {self.new_before:.3f} -> {self.new_after:.3f}"
        )
        if self.kept_old_model:
            return f"kept the old model, the new one forgets too much: {figures}"
        return f"the fine-tuned model replaces the old one: {figures}"


def finetune(
    splits: Splits,
    old: Sequence[Photo],
    new: Sequence[Photo],
    config: TrainingConfig,
    *,
    run: Path,
    models: Path,
    steps: int = STEPS,
) -> Outcome:
    """Train on, compare, and ship to `models` and `run` when nothing is lost. Raises DataError without a run.

    As `make train` does: first without the people who are held out, to see what is lost and won, then with everybody.
    """
    seed, fashion = config.seed, splits.train
    import keras

    from training.student import joined, train_student

    _, old_held_out = split_by_contributor(old)
    new_training, new_held_out = split_by_contributor(new, share=0.2)
    if not new_training:
        raise DataError(f"{len(new)} photograph(s) are too few to train on; expected at least two")
    folder = student_folder(run, "camera", config)
    known = _previous(run, folder)
    later = _previous(run / HELD_OUT, folder / HELD_OUT, learnt=False)
    claim(run, old, config)
    old_seen, new_seen = see(old_held_out), see(new_held_out) if new_held_out else None

    def learn(result: str, known: Lessons, photos: Sequence[Photo]) -> keras.Model:
        """The student `result` with these photographs besides what it knows."""
        keras.utils.set_random_seed(seed)
        return train_student(
            _load(folder, result),
            joined(known, *_new_lessons(photos, fashion.images, seed, len(known.grays))),
            fashion,
            preprocessing(VIEW_PREPROCESSING),
            steps=steps,
            seed=seed + 1,
            file=folder / f"finetune-{_digest(photos, seed, steps, folder / f'{result}.keras')}.npz",
            watch=lambda model: keras_accuracy(model, old_seen),
            peak_learning_rate=_PEAK_LEARNING_RATE,
        )

    before, after = _load(folder, STUDENT), learn(STUDENT, known, new_training)
    (old_before, new_before), (old_after, new_after) = (
        (keras_accuracy(model, old_seen), keras_accuracy(model, new_seen)) for model in (before, after)
    )
    outcome = Outcome(old_after < old_before - ALLOWED_LOSS, old_before, old_after, new_before, new_after)
    if not outcome.kept_old_model:
        everybody = learn(EVERYBODY, joined(known, later), new)
        recipe = f"training.finetune: {len(new)} photographs, {steps} steps on top of training.train"
        ranges, validated = int8_ranges(known.grays, splits, seed), run / VALIDATED / "camera.tflite"
        command = "python -m training.finetune"
        ship(after, ranges, old_seen, splits, recipe, command=command, seed=seed, path=validated, run=run)
        ship_everybody(everybody, ranges, splits, validated=validated, path=models / "model.tflite")
        for model, result in ((after, STUDENT), (everybody, EVERYBODY)):
            part = folder / f"{result}.part.keras"
            model.save(part)
            os.replace(part, folder / f"{result}.keras")
    (folder / "finetune.json").write_text(json.dumps(outcome._asdict(), indent=1) + "\n")
    return outcome


def _previous(run: Path, folder: Path, *, learnt: bool = True) -> Lessons:
    """What `make train` taught from the views in `run`, whose copies lie in `folder`. Raises DataError.

    learnt: by the teacher.
    """
    from training.student import lessons

    files = [folder / "grays.npy", run / "teacher-logits.npy", run / "targets.npy"]
    for file in files:
        if not file.is_file():
            raise DataError(f"{file}: missing; fine-tuning goes on from a training of yours: run `make train` first")
    grays, logits, targets = (np.load(file) for file in files)
    return lessons(grays, logits, None if learnt else targets)


def _load(folder: Path, result: str) -> Any:
    """The student that `make train` left. Raises DataError."""
    import keras

    file = folder / f"{result}.keras"
    if not file.is_file():
        raise DataError(f"{file}: missing; fine-tuning goes on from a training of yours: run `make train` first")
    return keras.models.load_model(file, compile=False)


def _new_lessons(photos: Sequence[Photo], fashion: Array, seed: int, known: int) -> list[Lessons]:
    """Views of new photographs, so often that they are _NEW_SHARE beside `known` old ones."""
    from training.student import Lessons
    from training.teacher import CLASSES, allowed_classes

    views, targets = _new_views(photos, fashion, seed)
    wanted = allowed_classes()[targets]
    wanted /= wanted.sum(axis=1, keepdims=True)
    # Without a teacher's opinion the label is smoothed more than its share in the student's lessons.
    wanted = (0.9 * wanted + 0.1 / CLASSES).astype(np.float32)
    repeats = max(1, round(_NEW_SHARE / (1 - _NEW_SHARE) * known / len(views)))
    return [Lessons(views, wanted)] * repeats


def _new_views(photos: Sequence[Photo], fashion: Array, seed: int) -> tuple[Array, Array]:
    """Camera views of the new photographs, one of four a placed cut-out: grays uint8 (n, 72, 72), targets (n,)."""
    from training.student import located_gray

    pixels = []
    for photo in photos:
        image = read_image(photo.path)
        scale = PHOTO_PX / max(image.shape[:2])
        pixels.append(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    material = Material(pixels, [cut_out(image) for image in pixels], fashion)
    fewest, most = _VIEWS_A_PHOTO
    each = min(most, max(fewest, _NEW_VIEWS // len(photos)))
    plans = [
        Plan("placed" if number % 4 == 3 else "photo", source, photo.target)
        for source, photo in enumerate(photos)
        for number in range(each)
    ]
    # Far from the numbers of the old views: the same number would draw the same camera.
    first = 1 << 24
    grays = [
        located_gray(make_view(plan, first + number, material, seed))
        for number, plan in enumerate(tqdm(plans, desc="views", unit="view", mininterval=2))
    ]
    return np.stack(grays), np.array([plan.target for plan in plans])


def _digest(photos: Sequence[Photo], seed: int, steps: int, student_file: Path) -> str:
    """Names the checkpoint: the same photographs on the same model go on, anything else starts anew."""
    made_of = [seed, steps, [(str(photo.path), photo.target) for photo in photos]]
    return hashlib.sha256(json.dumps(made_of).encode() + student_file.read_bytes()).hexdigest()[:12]


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m training.finetune`. Returns the exit status: 0 also when the old model was kept."""
    parser = argparse.ArgumentParser(
        prog="python -m training.finetune", description="Teach the model your own photographs."
    )
    parser.add_argument("photos", metavar="DIR", help="your photographs: a folder a class, or photos.csv")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: config.yaml, if there)")
    parser.add_argument("--run", type=Path, default=RUN, metavar="DIR", help="the training (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=MODELS, metavar="DIR", help="the model (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of 128 images (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        config = load_training_config(options.config)
        outcome = finetune(
            load_fashion_mnist(config),
            load_photos(find_photos(config.photos_dir)),
            readable(load_photos(find_photos(options.photos))),
            config,
            run=options.run,
            models=options.out,
            steps=options.steps,
        )
    except GarmentcamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main())
