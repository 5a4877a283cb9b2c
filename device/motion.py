"""Does anything move before the camera? While nothing does, the answer stays, and the board may rest."""

from __future__ import annotations

import time
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


_LOOK_S = 0.09
"""Three frames of a usual camera: a motion is seen within 130 ms, and a processor that is woken less rests more."""


class MotionGate:
    """Tells of each frame whether it is to be answered: `gate(frame)`; sleeps for a moment when it is not.

    All are while something moves, and until `still_s` after that; then only `idle_rate_hz` of them, so that a change
    too small to be noticed is answered all the same, a little later. While it rests it looks ten times a second; the
    first frame that shows a motion is answered.

    Compared is with the frame of the last motion and not with the one before, or slow motions would never count.
    on_idle: called with the number of frames that are not answered since nothing moved: those that were looked at,
    and those that the camera had meanwhile. sleep: takes seconds.
    """

    def __init__(
        self,
        config: MotionConfig,
        on_idle: Callable[[int], object] = lambda count: None,
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._threshold = config.threshold
        self._still_ns = round(config.still_s * 1e9)
        self._idle_ns = round(1e9 / config.idle_rate_hz)
        self._on_idle = on_idle
        self._sleep = sleep
        self._reference: Array | None = None
        self._moved_ns = self._due_ns = 0
        self._slept_after: int | None = None

    def __call__(self, frame: Frame) -> bool:
        """True when the frame is to be answered."""
        now_ns = frame.captured_ns
        if self._slept_after is not None:
            self._on_idle(max(0, frame.sequence - self._slept_after - 1))
            self._slept_after = None
        cells = brightness_of_cells(frame.pixels)
        if self._reference is None or _largest_change(cells, self._reference) > self._threshold:
            self._reference, self._moved_ns = cells, now_ns
        elif now_ns - self._moved_ns >= self._still_ns and now_ns < self._due_ns:
            self._on_idle(1)
            self._slept_after = frame.sequence
            self._sleep(_LOOK_S)
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
