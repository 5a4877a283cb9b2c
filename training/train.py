"""`make train`: from Fashion-MNIST and photographs to device/models/model.tflite and its card.

Read top to bottom: views -> teacher -> labels -> student -> calibration -> export. Each stage leaves its result in
runs/camera/, and a stage that is done is not done again: after kill -9 the same command goes on.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from tqdm import tqdm

from device.arrays import Array
from device.errors import DataError, GarmentcamError
from device.images import read_image
from device.model_card import InputSpec, Measurement, OutputSpec, card_path, write_card
from device.preprocess import SIDE_PX, preprocessing
from training.calibration import Calibration, accuracy_and_recall, calibrate
from training.config import CameraRecipe, load_training_config
from training.data import Splits, load_fashion_mnist
from training.photos import FOOTWEAR, TARGETS, Photo, find_photos, load_photos, readable, split_by_contributor
from training.render import render_views

RUN = Path("runs/camera")
MODELS = Path("device/models")
PREPROCESSING = "located-1"
VIEW_PREPROCESSING = "stretch-1"
"""For the student's copies of views, which are located already, before they are jittered."""
_CALIBRATION_IMAGES = 600


class Validation(NamedTuple):
    """Photographs of contributors who are not in training. images: uint8 (n, 28, 28). truth: index into TARGETS."""

    images: Array
    truth: Array


def train(
    splits: Splits, photos: Sequence[Photo], recipe: CameraRecipe, *, seed: int, run: Path, models: Path
) -> dict[str, Any]:
    """All stages. Returns the figures, which are also written to `run`/train.json."""
    training, held_out = split_by_contributor(photos)
    _claim(run, training, seed)
    targets = render_views(training, splits.train.images, splits.train.labels, seed, run)
    views = np.load(run / "views.npy", mmap_mode="r")

    # From here on: TensorFlow, whose threads do not survive the forks above.
    import keras

    from training.model import ZOO
    from training.student import lessons, train_student

    keras.utils.set_random_seed(seed)
    logits = _once(run / "teacher-logits.npy", lambda: _teach(views, targets, recipe.teacher_passes, seed, run))
    grays = _once(run / "grays.npy", lambda: _shrink_views(views))
    preprocess = preprocessing(VIEW_PREPROCESSING)
    keras.utils.set_random_seed(seed)
    student = train_student(
        ZOO["camera"](),
        lessons(grays, targets, logits),
        splits.train,
        preprocess,
        steps=recipe.student_steps,
        seed=seed,
        file=run / "student.npz",
    )
    student.save(run / "student.keras")

    return ship(
        student,
        int8_ranges(grays, splits, seed),
        see(held_out),
        splits,
        f"training.train: teacher {recipe.teacher_passes:g} passes, student {recipe.student_steps} steps",
        seed=seed,
        run=run,
        models=models,
    )


def see(photos: Sequence[Photo]) -> Validation:
    """The photographs as the board would see them."""
    preprocess = preprocessing(PREPROCESSING)
    return Validation(
        np.stack([preprocess(read_image(photo.path)) for photo in photos]),
        np.array([photo.target for photo in photos]),
    )


def int8_ranges(grays: Array, splits: Splits, seed: int) -> Array:
    """Training images that set the ranges of int8: views and Fashion-MNIST. uint8, shape (900, 28, 28)."""
    preprocess = preprocessing(VIEW_PREPROCESSING)
    samples = np.random.default_rng(seed).choice(len(grays), _CALIBRATION_IMAGES, replace=False)
    views = [preprocess(grays[number]) for number in samples]
    native = [preprocess(image) for image in splits.train.images[: _CALIBRATION_IMAGES // 2]]
    return np.stack([*views, *native])


def ship(
    student: Any,
    ranges: Array,
    seen: Validation,
    splits: Splits,
    recipe: str,
    *,
    command: str = "python -m training.train",
    seed: int,
    run: Path,
    models: Path,
) -> dict[str, Any]:
    """Export, calibrate on the int8 file's own answers, measure, write card and figures."""
    from training.export import draft_card, export
    from training.gate import ask_all
    from training.model import mirrored

    # Worth two points on unseen people, for twice an inference that is shorter than the preprocessing.
    student = mirrored(student)

    draft = draft_card(
        "camera",
        input=InputSpec("uint8", (1, SIDE_PX, SIDE_PX, 1), 1.0),
        output=OutputSpec("uint8", (1, 10), background=True),
        preprocessing=PREPROCESSING,
        unsure_below=0.5,
        trained_on="Fashion-MNIST (54,000 training images) and photographs of clothing (clothing-dataset, CC0), "
        "contributors split off for validation",
        recipe=recipe,
        seed=seed,
    )
    path = models / "model.tflite"
    exported = export(student, "int8", path, draft, ranges)
    int8 = ask_all(path, seen.images)[0].logits
    floating = student.predict(seen.images[..., None].astype(np.float32), verbose=0)
    scored = seen.truth != TARGETS.index(FOOTWEAR)
    found: Calibration = calibrate(int8[scored], seen.truth[scored])
    preprocess = preprocessing(PREPROCESSING)
    test = ask_all(path, np.stack([preprocess(image) for image in splits.test.images]))[0].logits
    accuracy, recall = accuracy_and_recall(int8.argmax(axis=1)[scored], seen.truth[scored])
    float_accuracy, _ = accuracy_and_recall(floating.argmax(axis=1)[scored], seen.truth[scored])
    fashion_accuracy = float((test.argmax(axis=1) == splits.test.labels).mean())
    figures = {
        "photographs of unseen people, accuracy": accuracy,
        "photographs of unseen people, macro recall": recall,
        "photographs of unseen people, accuracy of the float model": float_accuracy,
        "photographs of none of the ten, answered unsure": found.refused,
        "photographs of unseen people, expected calibration error": found.error,
        "Fashion-MNIST test, accuracy": fashion_accuracy,
    }
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    measured = [
        Measurement(*name.rsplit(", ", 1), value, command, date)  # type: ignore[misc]
        for name, value in figures.items()
    ]
    output = msgspec.structs.replace(exported.card.output, temperature=found.temperature)
    card = msgspec.structs.replace(
        exported.card, output=output, unsure_below=round(found.unsure_below, 4), measurements=measured
    )
    write_card(card, card_path(path))
    (run / "train.json").write_text(json.dumps({**figures, "size_bytes": card.size_bytes}, indent=1) + "\n")
    return figures


def _teach(views: Array, targets: Array, passes: float, seed: int, run: Path) -> Array:
    from training.teacher import label_views, train_teacher

    return label_views(train_teacher(views, targets, passes=passes, seed=seed, file=run / "teacher.npz"), views)


def _shrink_views(views: Array) -> Array:
    """uint8, shape (n, 56, 56): what the student's images are made of."""
    from training.student import located_gray

    return np.stack([located_gray(view) for view in tqdm(views, desc="grays", unit="view", mininterval=2)])


def _once(file: Path, make: Callable[[], Array]) -> Array:
    """The array in `file`; made and written, whole or not at all, when it is not there."""
    if not file.exists():
        part = file.with_suffix(".part.npy")
        np.save(part, make())
        part.replace(file)
    return np.load(file)


def _claim(run: Path, photos: Sequence[Photo], seed: int) -> None:
    """Note what `run` is made of; raises DataError when it holds stages of other photographs or another seed."""
    text = json.dumps([seed, [(photo.path.name, photo.target) for photo in photos]])
    digest, mark = hashlib.sha256(text.encode()).hexdigest(), run / "made-of.txt"
    if mark.exists() and mark.read_text() != digest:
        raise DataError(f"{run}: holds a training with other photographs or another seed; remove it or name --run")
    run.mkdir(parents=True, exist_ok=True)
    mark.write_text(digest)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m training.train`. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description="Train the model that ships.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: config.yaml, if there)")
    parser.add_argument(
        "--photos", default="", metavar="DIR", help="labelled photographs (default: training.photos_dir)"
    )
    parser.add_argument("--seed", type=int, help="(default: training.seed)")
    parser.add_argument("--run", type=Path, default=RUN, metavar="DIR", help="checkpoints (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=MODELS, metavar="DIR", help="the model (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        config = load_training_config(options.config)
        photos = readable(load_photos(find_photos(options.photos or config.photos_dir)))
        seed = config.seed if options.seed is None else options.seed
        figures = train(
            load_fashion_mnist(config), photos, config.camera, seed=seed, run=options.run, models=options.out
        )
    except GarmentcamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, value in figures.items():
        print(f"{name}: {value:.4f}")
    print(f"written: {options.out / 'model.tflite'}, {options.out / 'model.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
