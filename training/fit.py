"""Training by epochs, so that any interruption resumes where it was and ends in the same weights.

Keras's own BackupAndRestore goes on from the last epoch too, but shuffles anew; here the order of the images
is a function of (seed, epoch) alone, so an interrupted training and an undisturbed one are the same.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
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

    Called again after an interruption (kill -9 too) it goes on after the last whole epoch. A checkpoint of another
    recipe, model, seed or data is not gone on from.
    """
    fingerprint = _fingerprint(model, train, batch_size, seed)
    history = _resume(model, folder, fingerprint, epochs)
    done = len(history.get("loss", []))
    if done:
        print(f"{folder}: {done} of {epochs} epochs are done (delete the folder to train anew)")
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
        _checkpoint(model, history, folder, fingerprint)
    return history


def _checkpoint(model: keras.Model, history: dict[str, list[float]], folder: Path, fingerprint: str) -> None:
    """Weights, optimizer and history together: written beside, then renamed, so there is always a whole one."""
    new = folder / "new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    model.save(new / "model.keras")
    (new / "history.json").write_text(json.dumps({"fingerprint": fingerprint, "history": history}))
    whole = folder / f"epoch-{len(history['loss']):04d}"
    new.replace(whole)
    for older in sorted(folder.glob("epoch-*"))[:-1]:
        shutil.rmtree(older)


def _resume(model: keras.Model, folder: Path, fingerprint: str, epochs: int) -> dict[str, list[float]]:
    checkpoints = sorted(folder.glob("epoch-*"))
    if not checkpoints:
        return {}
    written = json.loads((checkpoints[-1] / "history.json").read_text())
    if written.get("fingerprint") != fingerprint or len(written["history"]["loss"]) > epochs:
        print(f"{folder}: its checkpoint is of another recipe, model, seed or data: training anew")
        for checkpoint in checkpoints:
            shutil.rmtree(checkpoint)
        return {}
    saved = keras.models.load_model(checkpoints[-1] / "model.keras")
    model.set_weights(saved.get_weights())
    model.optimizer.build(model.trainable_variables)
    for mine, theirs in zip(model.optimizer.variables, saved.optimizer.variables, strict=True):
        mine.assign(theirs)
    history: dict[str, list[float]] = written["history"]
    return history


def _fingerprint(model: keras.Model, train: Data, batch_size: int, seed: int) -> str:
    """What a training depends on besides its length, as one text. Layer names count up within a process: left out."""
    shapes = [tuple(weight.shape) for weight in model.weights]
    content = zlib.crc32(np.ascontiguousarray(train.labels), zlib.crc32(np.ascontiguousarray(train.images)))
    return f"{shapes} {sorted(model.optimizer.get_config().items())} {content:08x} batch {batch_size} seed {seed}"
