"""Luma of a frame, of all of it or of a few pixels, in memory that is used again for the next frame.

OpenCV's arguments go by position in what every frame passes through: reading a name costs as much as some steps do.
"""

from __future__ import annotations

import math
import threading
from typing import Tuple

import cv2
import numpy as np

from device.arrays import Array


class Scratch(threading.local):
    """Memory of the calling thread for what does not outlive a frame: asking the system for it costs each time."""

    def __init__(self, dtype: type[np.generic] = np.uint8) -> None:
        self._values: Array = np.empty(0, dtype)
        self._last = self._values

    def take(self, shape: Tuple[int, ...]) -> Array:
        """An array of this shape with anything in it, until the next `take`."""
        if self._last.shape != shape:
            size = math.prod(shape)
            if self._values.size < size:
                self._values = np.empty(size, self._values.dtype)
            self._last = self._values[:size].reshape(shape)
        return self._last


_SAMPLES, _SHRUNK, _GRAY, _FRAMED = Scratch(), Scratch(), Scratch(), Scratch()


def to_gray(pixels: Array) -> Array:
    """Luma (ITU-R BT.601, as cv2 and a camera's Y plane). uint8 (H, W, 3) BGR or (H, W) -> uint8 (H, W)."""
    if pixels.ndim == 2:
        return pixels
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)


def passing_gray(pixels: Array) -> Array:
    """`to_gray`, good until this thread's next call: for what is shrunk at once."""
    if pixels.ndim == 2:
        return pixels
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY, dst=_GRAY.take(pixels.shape[:2]))


def passing_samples(pixels: Array, width_px: int, height_px: int) -> Array:
    """The luma of width_px x height_px pixels, evenly spread: uint8, good until this thread's next call."""
    few = _SAMPLES.take((height_px, width_px, *pixels.shape[2:]))
    return passing_gray(cv2.resize(pixels, (width_px, height_px), few, 0, 0, cv2.INTER_NEAREST))


def passing_shrunk(pixels: Array, width_px: int, height_px: int) -> Array:
    """The luma at so many points, each between its four pixels: uint8, good until this thread's next call."""
    few = _SHRUNK.take((height_px, width_px, *pixels.shape[2:]))
    return passing_gray(cv2.resize(pixels, (width_px, height_px), few, 0, 0, cv2.INTER_LINEAR))


def passing_framed(gray: Array, beyond: Tuple[int, int, int, int]) -> Array:
    """More pixels at the top, bottom, left and right, as the edge's: uint8, good until this thread's next call."""
    top, bottom, left, right = beyond
    framed = _FRAMED.take((gray.shape[0] + top + bottom, gray.shape[1] + left + right))
    return cv2.copyMakeBorder(gray, top, bottom, left, right, cv2.BORDER_REPLICATE, framed)
