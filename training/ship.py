"""A trained student becomes a file and a card: export, calibrate on the int8 file's own answers, measure."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from device.arrays import Array
from device.classifier import mean_of_crops
from device.images import read_image
from device.labels import LABELS
from device.model_card import InputSpec, Measurement, OutputSpec, card_path, read_card, write_card
from device.preprocess import SIDE_PX, preprocessing
from training.calibration import Calibration, accuracy_and_recall, calibrate
from training.data import Splits
from training.photos import FOOTWEAR, TARGETS, Photo

if TYPE_CHECKING:  # it imports TensorFlow, for which it is too soon here
    from training.export import Exported

PREPROCESSING = "located-6"
VIEW_PREPROCESSING = "stretch-1"
"""For the student's copies of views, which are located already, before they are jittered."""
_CALIBRATION_IMAGES = 3000  # As accurate as 150 on validation, and the runtimes round less apart (docs/tried.md).


class Validation(NamedTuple):
    """Photographs of contributors who are not in training.

    images: uint8 (n, 2, 28, 28), the crops that the board would see. truth: index into TARGETS.
    """

    images: Array
    truth: Array


def see(photos: Sequence[Photo]) -> Validation:
    """The photographs as the board would see them."""
    preprocess = preprocessing(PREPROCESSING)
    return Validation(
        np.stack([preprocess(read_image(photo.path)) for photo in photos]),
        np.array([photo.target for photo in photos]),
    )


def keras_accuracy(model: Any, seen: Validation | None) -> float:
    """Of the Keras model over photographs of the ten classes; nan without any."""
    if seen is None or not (seen.truth < len(LABELS)).any():
        return float("nan")
    crops = seen.images.reshape(-1, SIDE_PX, SIDE_PX, 1)
    logits = mean_of_crops(model.predict(crops.astype(np.float32), verbose=0), seen.images.shape[1])
    return accuracy_and_recall(logits.argmax(axis=1), seen.truth)[0]


def int8_ranges(grays: Array, splits: Splits, seed: int) -> Array:
    """Training images that set the ranges of int8: views and Fashion-MNIST. uint8, shape (n <= 4500, 28, 28)."""
    from training.student import as_located

    preprocess = preprocessing(VIEW_PREPROCESSING)
    number = min(_CALIBRATION_IMAGES, len(grays))
    samples = np.random.default_rng(seed).choice(len(grays), number, replace=False)
    views = [preprocess(gray) for gray in as_located(grays[samples])]
    native = [preprocess(image) for image in splits.train.images[: _CALIBRATION_IMAGES // 2]]
    return np.stack([*views, *native])


Figures = dict[str, float]
_PHOTOGRAPHS = "photographs of unseen people"
_FASHION = "Fashion-MNIST test"
_MATERIAL = "Fashion-MNIST (54,000 training images) and photographs of clothing (clothing-dataset, CC0)"


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
    run: Path,
) -> Figures:
    """Export to `path`, calibrate on the int8 file's own answers, measure, write the card.

    The same network in float32, with its card, is kept in `run`, for comparison: NAME-float32.tflite.
    """
    from training.export import draft_card, export

    draft = draft_card(
        student.name,
        input=InputSpec("uint8", (1, SIDE_PX, SIDE_PX, 1), 1.0),
        output=OutputSpec("uint8", (1, 10), background=True),
        preprocessing=PREPROCESSING,
        unsure_below=0.5,
        trained_on=f"{_MATERIAL}, contributors split off for validation",
        recipe=recipe,
        seed=seed,
    )
    floating = export(student, "float32", run / f"{student.name}-float32.tflite", draft, ranges)
    exported = export(student, "int8", path, draft, ranges)
    of_float, of_int8 = (_logits(file.path, seen.images) for file in (floating, exported))
    float_figures = _measure(floating, of_float, seen, splits, command)
    against_float = {
        f"{_PHOTOGRAPHS}, accuracy of the float model": float_figures[f"{_PHOTOGRAPHS}, accuracy"],
        f"{_PHOTOGRAPHS}, answered otherwise than by the float model": float(
            (of_int8.argmax(axis=1) != of_float.argmax(axis=1)).mean()
        ),
    }
    figures = _measure(exported, of_int8, seen, splits, command, against_float)
    return {**figures, "size, bytes": float(exported.card.size_bytes)}


def ship_everybody(student: Any, ranges: Array, splits: Splits, *, validated: Path, path: Path) -> Figures:
    """Export to `path` a student that learnt from the people, too, on whom its recipe was validated.

    So nothing can be measured on them any more: temperature, threshold and figures on photographs are those of
    `validated`, what it was before that, and the card says so. Fashion-MNIST's test set is asked anew.
    """
    from training.export import commit, export

    card = read_card(card_path(validated))
    trained_on = (
        f"{_MATERIAL} of all contributors; figures on photographs are of what this model was when it "
        "did not know the validation contributors"
    )
    draft = msgspec.structs.replace(card, trained_on=trained_on, validated_sha256=card.sha256, commit=commit())
    exported = export(student, "int8", path, draft, ranges)
    right = _fashion_accuracy(path, splits)
    measured = [
        msgspec.structs.replace(entry, value=right) if entry.dataset == _FASHION else entry
        for entry in card.measurements
    ]
    write_card(msgspec.structs.replace(exported.card, measurements=measured), card_path(path))
    return {f"{_FASHION}, accuracy": right, "size, bytes": float(exported.card.size_bytes)}


def _measure(
    exported: Exported, logits: Array, seen: Validation, splits: Splits, command: str, further: Figures | None = None
) -> Figures:
    """Calibrate a file on its own answers and measure it; its card is written anew.

    logits: those answers, float32, shape (n, 10). further: figures for the card.
    """
    scored = seen.truth != TARGETS.index(FOOTWEAR)
    found: Calibration = calibrate(logits[scored], seen.truth[scored])
    accuracy, recall = accuracy_and_recall(logits.argmax(axis=1)[scored], seen.truth[scored])
    figures = {
        f"{_PHOTOGRAPHS}, accuracy": accuracy,
        f"{_PHOTOGRAPHS}, macro recall": recall,
        **(further or {}),
        "photographs of none of the ten, answered unsure": found.refused,
        f"{_PHOTOGRAPHS}, expected calibration error": found.error,
        f"{_FASHION}, accuracy": _fashion_accuracy(exported.path, splits),
    }
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    measured = [
        Measurement(*name.rsplit(", ", 1), value, command, date)  # type: ignore[misc]
        for name, value in figures.items()
        if not np.isnan(value)  # there may be no photographs of none of the ten
    ]
    output = msgspec.structs.replace(exported.card.output, temperature=found.temperature)
    card = msgspec.structs.replace(
        exported.card, output=output, unsure_below=round(found.unsure_below, 4), measurements=measured
    )
    write_card(card, card_path(exported.path))
    return figures


def _fashion_accuracy(path: Path, splits: Splits) -> float:
    """Of a file, on Fashion-MNIST's test set."""
    preprocess = preprocessing(PREPROCESSING)
    logits = _logits(path, np.stack([preprocess(image) for image in splits.test.images]))
    return float((logits.argmax(axis=1) == splits.test.labels).mean())


def _logits(path: Path, images: Array) -> Array:
    """A file's answers in the board's first choice of runtime, once all runtimes agree."""
    from training.gate import ask_all

    return ask_all(path, images)[0].logits
