"""The robustness sheet: the same photographs, each column spoilt in one way. Images are uint8 B,G,R of any size."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from device.arrays import Array

_NOISE = 15.0
"""Standard deviation of a pixel, gray levels: a small sensor in a dim room."""


def _darker(photo: Array) -> Array:
    """A stop and a half less light."""
    return cv2.convertScaleAbs(photo, alpha=0.35)


def _brighter(photo: Array) -> Array:
    """Two thirds of a stop more light, clipped as a sensor clips."""
    return cv2.convertScaleAbs(photo, alpha=1.6)


def _blurred(photo: Array) -> Array:
    """Out of focus by 1.5 % of the longest side."""
    return cv2.GaussianBlur(photo, (0, 0), 0.015 * max(photo.shape[:2]))


def _noisier(photo: Array) -> Array:
    noise = np.random.default_rng(0).normal(0, _NOISE, photo.shape)
    return np.clip(photo + noise, 0, 255).astype(np.uint8)


def _gray(photo: Array) -> Array:
    """What a Pi camera's Y plane shows."""
    return cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)


def moved(photo: Array, *, side: float = 1.0, degrees: float = 0.0, right: float = 0.0, down: float = 0.0) -> Array:
    """The photograph at `side` of its size, turned and shifted (shares of the frame), before a wall of its own colour.

    The wall has the median colour of the photograph's border, so what is added is neither black nor a pattern.
    """
    height, width = photo.shape[:2]
    small = cv2.resize(photo, None, fx=side, fy=side, interpolation=cv2.INTER_AREA) if side < 1 else photo
    matrix = cv2.getRotationMatrix2D(((small.shape[1] - 1) / 2, (small.shape[0] - 1) / 2), degrees, 1.0)
    matrix[:, 2] += (width - small.shape[1]) / 2 + right * width, (height - small.shape[0]) / 2 + down * height
    return cv2.warpAffine(
        small, matrix, (width, height), borderMode=cv2.BORDER_CONSTANT, borderValue=wall_colour(photo)
    )


def wall_colour(photo: Array) -> tuple[float, ...]:
    """The median colour of the photograph's border, B,G,R."""
    edges = np.concatenate([photo[0], photo[-1], photo[:, 0], photo[:, -1]])
    return tuple(float(level) for level in np.median(edges, axis=0))


CLEAN = "clean"
SPOILT: dict[str, Callable[[Array], Array]] = {
    CLEAN: lambda photo: photo,
    "gray": _gray,
    "darker": _darker,
    "brighter": _brighter,
    "blurred": _blurred,
    "noisier": _noisier,
    "+15 degrees": lambda photo: moved(photo, degrees=15),
    "-15 degrees": lambda photo: moved(photo, degrees=-15),
    "upside down": lambda photo: np.ascontiguousarray(photo[::-1, ::-1]),
    "side x 0.7": lambda photo: moved(photo, side=0.7),
    "side x 0.5": lambda photo: moved(photo, side=0.5),
    "side x 0.35": lambda photo: moved(photo, side=0.35),
    "shifted": lambda photo: moved(photo, right=0.15, down=-0.15),
}
"""Name of the column -> what it does to a photograph."""
