"""Does anything move before the camera? While nothing does, the answer stays, and the board may rest."""

from __future__ import annotations

from typing import Callable

import cv2
import numpy as np

from device.arrays import Array
from device.config import MotionConfig
from device.frame import Frame

_COLUMNS, _ROWS = 16, 10
"""Cells whose brightness is watched: the mean of a hundred pixels has a tenth of their noise."""

_LINES_A_ROW = 3
"""Lines of the picture that are looked at for each row of cells: enough to notice all that fills a cell."""


class MotionGate:
    """Tells of each frame whether it is to be answered: `gate(frame)`.

    All are while something moves, and until `still_s` after that; then only `idle_rate_hz` of them, so that a change
    too small to be noticed is answered all the same, a little later. The first frame that shows a motion is answered.

    Compared is with the frame of the last motion and not with the one before, or slow motions would never count.
    on_idle: called once for each frame that is not answered.
    """

    def __init__(self, config: MotionConfig, on_idle: Callable[[], object] = lambda: None) -> None:
        self._threshold = config.threshold
        self._still_ns = round(config.still_s * 1e9)
        self._idle_ns = round(1e9 / config.idle_rate_hz)
        self._on_idle = on_idle
        self._reference: Array | None = None
        self._moved_ns = self._due_ns = 0

    def __call__(self, frame: Frame) -> bool:
        """True when the frame is to be answered."""
        now_ns = frame.captured_ns
        cells = brightness_of_cells(frame.pixels)
        if self._reference is None or _largest_change(cells, self._reference) > self._threshold:
            self._reference, self._moved_ns = cells, now_ns
        elif now_ns - self._moved_ns >= self._still_ns and now_ns < self._due_ns:
            self._on_idle()
            return False
        self._due_ns = now_ns + self._idle_ns
        return True


def brightness_of_cells(pixels: Array) -> Array:
    """uint8 (10, 16), or (10, 16, 3) of BGR pixels: a coarse picture, of some of the frame's lines."""
    step = max(1, pixels.shape[0] // (_ROWS * _LINES_A_ROW))
    return cv2.resize(pixels[::step], (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)


def _largest_change(one: Array, other: Array) -> float:
    """Gray levels of the cell that changed most; all of them when the frames are of another shape."""
    return float(cv2.norm(one, other, cv2.NORM_INF)) if one.shape == other.shape else float(np.iinfo(np.uint8).max)
