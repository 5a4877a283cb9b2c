"""The zoo: a builder for each model, by name. Every model gives ten logits, shape (n, 10)."""

from __future__ import annotations

from collections.abc import Callable

import keras

from device.labels import LABELS
from device.preprocess import SIDE_PX


def mlp() -> keras.Model:
    """The article's: Flatten, Dense 128 relu, Dense 10. Input float32 (n, 28, 28), pixels / 255."""
    return keras.Sequential(
        [
            keras.Input((SIDE_PX, SIDE_PX)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(len(LABELS)),
        ],
        name="mlp",
    )


ZOO: dict[str, Callable[[], keras.Model]] = {"mlp": mlp}
