"""The zoo: a builder for each model, by name. Every model gives ten logits, shape (n, 10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


def benchmark() -> keras.Model:
    """A residual network (He et al. 2015, arXiv:1512.03385) of 170,000 parameters.

    Input float32 (n, 28, 28, 1), 0..255.
    Half the resolution after the first layer: there the processor has most accuracy for its time.
    """
    inputs = keras.Input((SIDE_PX, SIDE_PX, 1))
    features = _convolution(keras.layers.Rescaling(1 / 255)(inputs), 32)
    features = keras.layers.MaxPooling2D(2)(features)
    for channels, stride in ((32, 1), (32, 1), (64, 2), (64, 1)):
        features = _residual(features, channels, stride)
    features = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(inputs, keras.layers.Dense(len(LABELS))(features), name="benchmark")


def camera() -> keras.Model:
    """The one that ships: a residual network of 126,000 parameters for 28x28 camera views.

    Input float32 (n, 28, 28, 1), 0..255. Most of its layers run at 14x14 and 7x7, where a processor is fastest; two
    residual blocks at each, since deeper and narrower learns more than wider of the same size (docs/tried.md).
    """
    inputs = keras.Input((SIDE_PX, SIDE_PX, 1))
    features = _convolution(keras.layers.Rescaling(1 / 255)(inputs), 16)
    for channels in (32, 44):
        features = _convolution(features, channels, stride=2)
        features = _residual(_residual(features, channels, 1), channels, 1)
    features = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(inputs, keras.layers.Dense(len(LABELS))(features), name="camera")


def tiny() -> keras.Model:
    """A seventh of `camera`, for a board that does other work: 17,000 parameters, a file under 30 KB.

    Input float32 (n, 28, 28, 1), 0..255.
    """
    inputs = keras.Input((SIDE_PX, SIDE_PX, 1))
    features = _convolution(keras.layers.Rescaling(1 / 255)(inputs), 8, stride=2)
    features = _residual(features, 16, 1)
    features = _residual(_convolution(features, 24, stride=2), 24, 1)
    features = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(inputs, keras.layers.Dense(len(LABELS))(features), name="tiny")


def mirrored(model: keras.Model) -> keras.Model:
    """The same weights asked twice, of the image and its mirror image: the mean of both logits, for twice the time.

    Both views are one batch, so the file holds the weights once.
    """
    inputs = keras.Input(model.input_shape[1:])
    logits = model(keras.layers.Concatenate(axis=0)([inputs, keras.ops.flip(inputs, axis=2)]))
    return keras.Model(inputs, keras.layers.Average()(keras.ops.split(logits, 2, axis=0)), name=model.name)


def _convolution(features: Any, channels: int, size: int = 3, stride: int = 1, relu: bool = True) -> Any:
    features = keras.layers.Conv2D(channels, size, strides=stride, padding="same", use_bias=False)(features)
    features = keras.layers.BatchNormalization()(features)
    return keras.layers.ReLU()(features) if relu else features


def _residual(features: Any, channels: int, stride: int) -> Any:
    """Two convolutions and a way around them."""
    through = _convolution(_convolution(features, channels, stride=stride), channels, relu=False)
    if stride > 1:
        features = keras.layers.AveragePooling2D(stride)(features)
    if features.shape[-1] != channels:
        features = _convolution(features, channels, size=1, relu=False)
    return keras.layers.ReLU()(keras.layers.Add()([features, through]))


ZOO: dict[str, Callable[[], keras.Model]] = {"mlp": mlp, "benchmark": benchmark, "camera": camera, "tiny": tiny}
