"""Where in the frame the garment is, so that a far one gets as many of the 28x28 pixels as a near one."""

from typing import Tuple

import cv2
import numpy as np

from device.arrays import Array

# 48x48 show where something lies, and cost nothing; the mean deviation of an even border (paper, a wall) is 0,
# and six gray levels keep its noise from looking like a garment.
_SEARCH_PX = 48
_LEAST_SPREAD = 6.0
# One glint must not outshine the garment: what is farther from the border than 95 % of the pixels counts no more.
_BRIGHTEST = int(0.95 * _SEARCH_PX**2)
# The box holds 94 % of what stands out along each axis, plus an eighth on either side, and never less than a fifth of
# the frame: fewer pixels than that tell nothing.
_TAIL = 0.03
_MARGIN = 0.12
_LEAST_SIDE = 0.2


def locate(gray: Array, multiple_px: int) -> Array:
    """The part of the frame that holds the garment: a view of `gray`, uint8 (H, W).

    It is square where the frame has room, so that a dress stays narrow and a shirt wide, and it is the whole frame
    where nothing stands out from the border. multiple_px: what it will be shrunk to; neither side becomes smaller,
    unless the frame's is, and large ones grow to a whole multiple of it, which shrinks several times faster.
    """
    height, width = gray.shape
    top, bottom, left, right = _garment_box(gray)
    box_px = max((bottom - top) * height, (right - left) * width)
    side = max(multiple_px, round(box_px * (1 + 2 * _MARGIN)), round(_LEAST_SIDE * max(height, width)))
    if side >= 8 * multiple_px:  # Below, the remainder would be a large part, and shrinking is cheap anyhow.
        side = -(-side // multiple_px) * multiple_px
    rows, first_row = _around((top + bottom) / 2 * height, side, height, multiple_px)
    columns, first_column = _around((left + right) / 2 * width, side, width, multiple_px)
    return gray[first_row : first_row + rows, first_column : first_column + columns]


def _around(centre: float, length: int, available: int, multiple: int) -> Tuple[int, int]:
    """Length and start of a stretch of pixels about `centre`, inside 0..available."""
    if length > available:
        length = available - available % multiple if available >= 16 * multiple else available
    return length, min(max(round(centre - length / 2), 0), available - length)


def _garment_box(gray: Array) -> Tuple[float, float, float, float]:
    """Top, bottom, left and right of what stands out from the border, as fractions of the frame's height and width."""
    away = _distance_to_border(_small(gray))
    levels = (away * (255 / max(float(away.max()), 1e-6))).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    standing = np.where(levels > 0.8 * threshold, levels, 0)
    if not standing.any():
        return 0.0, 1.0, 0.0, 1.0
    sides = []
    for axis in (1, 0):
        share = np.cumsum(standing.sum(axis=axis, dtype=np.int64))
        first, last = np.searchsorted(share, (_TAIL * share[-1], (1 - _TAIL) * share[-1]))
        sides += [first / _SEARCH_PX, (last + 1) / _SEARCH_PX]
    top, bottom, left, right = sides
    return top, bottom, left, right


def _small(gray: Array) -> Array:
    """The frame squashed to uint8 (48, 48), a little blurred. Every n-th pixel is enough to find something."""
    step = max(1, min(gray.shape) // (2 * _SEARCH_PX))
    few = np.ascontiguousarray(gray[::step, ::step])
    return cv2.GaussianBlur(cv2.resize(few, (_SEARCH_PX, _SEARCH_PX), interpolation=cv2.INTER_AREA), (3, 3), 0)


def _distance_to_border(small: Array) -> Array:
    """How far each pixel is from what the nearest-looking of the four borders shows. float32, shape (48, 48).

    In mean deviations of that border. Four borders, since a garment may touch one and a floor may meet a wall.
    """
    levels = small.astype(np.float32)
    borders = np.stack([levels[:2].ravel(), levels[-2:].ravel(), levels[:, :2].ravel(), levels[:, -2:].ravel()])
    borders.sort(axis=1)
    centres = (borders[:, _SEARCH_PX - 1] + borders[:, _SEARCH_PX])[:, np.newaxis] / 2  # the medians
    spreads = np.abs(borders - centres).mean(axis=1, keepdims=True) + _LEAST_SPREAD
    distance = (np.abs(levels.reshape(1, -1) - centres) / spreads).min(axis=0)
    most = np.partition(distance, _BRIGHTEST)[_BRIGHTEST]
    capped: Array = np.minimum(distance, most).reshape(small.shape)
    return capped
