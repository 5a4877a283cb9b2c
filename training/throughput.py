"""Images a second of the camera's recipe, and of plain `fit` on the same Keras model without augmentation.

`python -m training.throughput [STEPS]`, in a process of its own, prints one JSON object. What the pictures show costs
nothing in either, so made-up ones do; `fit` is timed before and after the recipe, for a machine may slow down.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from device.arrays import Array
from device.preprocess import preprocessing
from training import student
from training.checkpoint import history
from training.data import Split
from training.model import camera
from training.ship import VIEW_PREPROCESSING

_IMAGES = 4096
_WATCHED = 671  # As many as there are validation photographs: looking at them is part of a block.


def measure(steps: int) -> dict[str, float]:
    """Images a second: "recipe", and "fit_before" and "fit_after" it. steps: of the recipe, and of each `fit`."""
    rng = np.random.default_rng(0)
    side = student.GRAY_PX + 2 * student.ROOM_PX
    grays = rng.integers(0, 256, (_IMAGES, side, side), np.uint8)
    labels = rng.integers(0, 10, _IMAGES)
    images = rng.integers(0, 256, (_IMAGES, 28, 28), np.uint8)
    fit = _fit(images, labels, steps)
    before = fit()
    recipe = _recipe(grays, labels, images, steps)
    return {"fit_before": before, "recipe": recipe, "fit_after": fit()}


def _fit(images: Array, labels: Array, steps: int) -> Callable[[], float]:
    """What times one `fit` each time; the first call's compilation is done."""
    model = camera()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    order = np.arange(steps * student.BATCH_SIZE) % len(images)
    pixels, wanted = images[order, ..., np.newaxis].astype(np.float32), labels[order]
    model.fit(pixels[: 4 * student.BATCH_SIZE], wanted[: 4 * student.BATCH_SIZE], student.BATCH_SIZE, verbose=0)

    def images_a_second() -> float:
        start = time.perf_counter()
        model.fit(pixels, wanted, batch_size=student.BATCH_SIZE, verbose=0)
        return len(order) / (time.perf_counter() - start)

    return images_a_second


def _recipe(grays: Array, labels: Array, images: Array, steps: int) -> float:
    """Of the second of two blocks; the first compiles."""
    student._BLOCK_STEPS = steps
    wanted = np.eye(student.CLASSES, dtype=np.float32)[labels]
    watched = images[:_WATCHED, ..., np.newaxis].astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "student.npz"
        student.train_student(
            camera(),
            student.Lessons(grays, wanted),
            Split(images, labels),
            preprocessing(VIEW_PREPROCESSING),
            steps=2 * steps,
            seed=1,
            file=file,
            watch=lambda model: float(model.predict(watched, verbose=0).mean()),
        )
        return steps * student.BATCH_SIZE / history(file)[1]["seconds"]


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 150)))
