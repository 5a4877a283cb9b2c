"""Training by epochs, so that any interruption resumes where it was and ends in the same weights.

Keras's own BackupAndRestore goes on from the last epoch too, but shuffles anew; here the order of the images
is a function of (seed, epoch) alone, so an interrupted training and an undisturbed one are the same.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from device.arrays import Array


class Data(NamedTuple):
    """images: float32, shape (n, 28, 28). labels: shape (n,)."""

    images: Array
    labels: Array


def make_repeatable(seed: int) -> None:
    """Same seed, same weights on one machine: seeds Python, numpy and TensorFlow, and bans racing kernels."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def fit_resumable(
    model: keras.Model, train: Data, validation: Data | None, *, epochs: int, batch_size: int, seed: int, folder: Path
) -> dict[str, list[float]]:
    """Train a compiled model in place; a checkpoint an epoch in `folder`. Returns Keras's history, a list a metric.

    Called again after an interruption (kill -9 too) it goes on after the last whole epoch.
    """
    history = _resume(model, folder)
    done = len(history.get("loss", []))
    if done:
        print(f"{folder}: {min(done, epochs)} of {epochs} epochs are done")
    for epoch in range(done, epochs):
        order = np.random.default_rng((seed, epoch)).permutation(len(train.labels))
        print(f"epoch {epoch + 1} of {epochs}")
        logs = model.fit(
            train.images[order],
            train.labels[order],
            batch_size=batch_size,
            validation_data=validation,
            validation_batch_size=1000,
            shuffle=False,
            verbose="auto" if os.isatty(1) else 2,
        ).history
        for name, values in logs.items():
            history.setdefault(name, []).extend(float(value) for value in values)
        _checkpoint(model, history, folder)
    return {name: values[:epochs] for name, values in history.items()}


def _checkpoint(model: keras.Model, history: dict[str, list[float]], folder: Path) -> None:
    """Weights, optimizer and history together: written beside, then renamed, so there is always a whole one."""
    new = folder / "new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    model.save(new / "model.keras")
    (new / "history.json").write_text(json.dumps(history))
    whole = folder / f"epoch-{len(history['loss']):04d}"
    new.replace(whole)
    for older in sorted(folder.glob("epoch-*"))[:-1]:
        shutil.rmtree(older)


def _resume(model: keras.Model, folder: Path) -> dict[str, list[float]]:
    checkpoints = sorted(folder.glob("epoch-*"))
    if not checkpoints:
        return {}
    saved = keras.models.load_model(checkpoints[-1] / "model.keras")
    model.set_weights(saved.get_weights())
    model.optimizer.build(model.trainable_variables)
    for mine, theirs in zip(model.optimizer.variables, saved.optimizer.variables, strict=True):
        mine.assign(theirs)
    history: dict[str, list[float]] = json.loads((checkpoints[-1] / "history.json").read_text())
    return history
