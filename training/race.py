"""The article's own `fit` against a faster recipe for the same model, in one run: which is sooner at 88.5 %?

In a process of its own (`python -m training.race`), since the reproduction runs with deterministic kernels, which
would slow both. It prints one JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from device.arrays import Array
from device.errors import DataError
from training.config import MlpRecipe, load_training_config
from training.data import Splits, load_fashion_mnist
from training.model import mlp
from training.reproduce_report import Race

PIXEL_SCALE = 1 / 255
FAST_BATCH_SIZE = 512
FAST_EPOCHS = 20
# The validation set reads about one point higher than the test set, so this leaves half a point to spare.
FAST_VALIDATION_ACCURACY = 0.9


def compiled(learning_rate: Any = 1e-3, jit_compile: bool | str = "auto") -> keras.Model:
    """The article's model with the article's loss and optimizer."""
    model = mlp()
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=jit_compile,
    )
    return model


def scaled(images: Array) -> Array:
    """uint8 -> float32 pixels / 255."""
    return images.astype(np.float32) * np.float32(PIXEL_SCALE)


def race(splits: Splits, recipe: MlpRecipe) -> Race:
    """Both recipes, one after the other; the test set is looked at once for each, when it is done."""
    test = (scaled(splits.test.images), splits.test.labels)
    article_s, article = _article_fit(splits, recipe)
    fast_s, fast, epochs = _fast_recipe(splits)
    return Race(article_s, _accuracy(article, test), fast_s, _accuracy(fast, test), epochs)


def race_in_child() -> Race:
    """`race` in a fresh process, with config.yaml's settings. Raises DataError when it fails."""
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-m", "training.race"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DataError(f"training.race ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    return Race(**json.loads(done.stdout.splitlines()[-1]))


def _article_fit(splits: Splits, recipe: MlpRecipe) -> tuple[float, keras.Model]:
    """Seconds of the article's own call: one `fit`, nothing else."""
    whole = splits.all_training
    images = scaled(whole.images)
    model = compiled()
    start = time.perf_counter()
    model.fit(images, whole.labels, epochs=recipe.epochs, batch_size=recipe.batch_size, verbose=0)
    return time.perf_counter() - start, model


def _fast_recipe(splits: Splits) -> tuple[float, keras.Model, int]:
    """Large batches and a falling learning rate; stops when the validation set reaches its mark.

    It does not train on the validation set. The seconds include looking at it after each epoch.
    """
    train, validation = splits.train, splits.validation
    data = (scaled(train.images), train.labels)
    steps = FAST_EPOCHS * -(-len(train.labels) // FAST_BATCH_SIZE)
    model = compiled(keras.optimizers.schedules.CosineDecay(4e-3, steps, alpha=0.02))

    class StopWhenGood(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            self.model.stop_training = (logs or {})["val_accuracy"] >= FAST_VALIDATION_ACCURACY

    start = time.perf_counter()
    history = model.fit(
        *data,
        epochs=FAST_EPOCHS,
        batch_size=FAST_BATCH_SIZE,
        validation_data=(scaled(validation.images), validation.labels),
        validation_batch_size=1000,
        callbacks=[StopWhenGood()],
        verbose=0,
    )
    return time.perf_counter() - start, model, len(history.epoch)


def _accuracy(model: keras.Model, data: tuple[Array, Array]) -> float:
    return float(model.evaluate(*data, verbose=0, batch_size=1000)[1])


if __name__ == "__main__":
    configuration = load_training_config()
    print(json.dumps(race(load_fashion_mnist(configuration), configuration.mlp)._asdict()))
