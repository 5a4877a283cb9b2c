"""A trained student becomes a file and a card: export, calibrate on the int8 file's own answers, measure."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from device.arrays import Array
from device.images import read_image
from device.model_card import InputSpec, Measurement, OutputSpec, card_path, write_card
from device.preprocess import SIDE_PX, preprocessing
from training.calibration import Calibration, accuracy_and_recall, calibrate
from training.data import Splits
from training.photos import FOOTWEAR, TARGETS, Photo

PREPROCESSING = "located-4"
VIEW_PREPROCESSING = "stretch-1"
"""For the student's copies of views, which are located already, before they are jittered."""
_CALIBRATION_IMAGES = 150  # More widen the ranges of int8: on validation 600 and 2,400 were no better.


class Validation(NamedTuple):
    """Photographs of contributors who are not in training. images: uint8 (n, 28, 28). truth: index into TARGETS."""

    images: Array
    truth: Array


def see(photos: Sequence[Photo]) -> Validation:
    """The photographs as the board would see them."""
    preprocess = preprocessing(PREPROCESSING)
    return Validation(
        np.stack([preprocess(read_image(photo.path)) for photo in photos]),
        np.array([photo.target for photo in photos]),
    )


def int8_ranges(grays: Array, splits: Splits, seed: int) -> Array:
    """Training images that set the ranges of int8: views and Fashion-MNIST. uint8, shape (225, 28, 28)."""
    from training.student import as_located

    preprocess = preprocessing(VIEW_PREPROCESSING)
    samples = np.random.default_rng(seed).choice(len(grays), _CALIBRATION_IMAGES, replace=False)
    views = [preprocess(gray) for gray in as_located(grays[samples])]
    native = [preprocess(image) for image in splits.train.images[: _CALIBRATION_IMAGES // 2]]
    return np.stack([*views, *native])


Figures = dict[str, float]


def ship(
    student: Any,
    ranges: Array,
    seen: Validation,
    splits: Splits,
    recipe: str,
    *,
    command: str = "python -m training.train",
    seed: int,
    path: Path,
) -> Figures:
    """Export to `path`, calibrate on the int8 file's own answers, measure, write the card."""
    from training.export import draft_card, export
    from training.gate import ask_all
    from training.model import mirrored

    # Worth two points on unseen people, for twice an inference that is shorter than the preprocessing.
    student = mirrored(student)

    draft = draft_card(
        student.name,
        input=InputSpec("uint8", (1, SIDE_PX, SIDE_PX, 1), 1.0),
        output=OutputSpec("uint8", (1, 10), background=True),
        preprocessing=PREPROCESSING,
        unsure_below=0.5,
        trained_on="Fashion-MNIST (54,000 training images) and photographs of clothing (clothing-dataset, CC0), "
        "contributors split off for validation",
        recipe=recipe,
        seed=seed,
    )
    exported = export(student, "int8", path, draft, ranges)
    int8 = ask_all(path, seen.images)[0].logits
    floating = student.predict(seen.images[..., None].astype(np.float32), verbose=0)
    scored = seen.truth != TARGETS.index(FOOTWEAR)
    found: Calibration = calibrate(int8[scored], seen.truth[scored])
    preprocess = preprocessing(PREPROCESSING)
    test = ask_all(path, np.stack([preprocess(image) for image in splits.test.images]))[0].logits
    accuracy, recall = accuracy_and_recall(int8.argmax(axis=1)[scored], seen.truth[scored])
    float_accuracy, _ = accuracy_and_recall(floating.argmax(axis=1)[scored], seen.truth[scored])
    figures = {
        "photographs of unseen people, accuracy": accuracy,
        "photographs of unseen people, macro recall": recall,
        "photographs of unseen people, accuracy of the float model": float_accuracy,
        "photographs of none of the ten, answered unsure": found.refused,
        "photographs of unseen people, expected calibration error": found.error,
        "Fashion-MNIST test, accuracy": float((test.argmax(axis=1) == splits.test.labels).mean()),
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
    return {**figures, "size, bytes": float(card.size_bytes)}
