"""Where in the frame the garment is, so that a far one gets as many of the 28x28 pixels as a near one."""

from bisect import bisect_left
from itertools import accumulate
from typing import List, Tuple

import cv2
import numpy as np

from device.arrays import Array
from device.gray import Scratch, passing_samples

# 32x32 show where something lies, and cost nothing. The mean deviation of an even border (paper, a wall) is 0; six gray
# levels keep its noise from looking like a garment.
_SEARCH_PX = 32
_LEAST_SPREAD = 6.0
# One glint must not outshine the garment: what is farther from the border than 95 % of the pixels counts no more; but a
# far garment has fewer than 5 % of them, so six deviations count in any case.
_STANDS_OUT = 6.0
_BRIGHTEST = int(0.95 * _SEARCH_PX**2)
# The box holds 94 % of what stands out along each axis, plus an eighth on either side, and never less than a fifth of
# the frame: fewer pixels than that tell nothing.
_TAIL = 0.03
_MARGIN = 0.12
_LEAST_SIDE = 0.2

_BORDER_PX = 2 * _SEARCH_PX  # of one side: two pixels deep


def _border_indices() -> Array:
    """Where in the flat 32x32 the pixels of the top, bottom, left and right border are. Shape (4, 64)."""
    index = np.arange(_SEARCH_PX**2).reshape(_SEARCH_PX, _SEARCH_PX)
    return np.stack([index[:2].ravel(), index[-2:].ravel(), index[:, :2].ravel(), index[:, -2:].ravel()])


def _sorted_sums() -> Array:
    """What a sorted border is multiplied with for minus its median, and its mean deviation from it. float32 (64, 2)."""
    sums = np.zeros((_BORDER_PX, 2), np.float32)
    sums[_SEARCH_PX - 1 : _SEARCH_PX + 1, 0] = -0.5
    sums[:_SEARCH_PX, 1], sums[_SEARCH_PX:, 1] = -1 / _BORDER_PX, 1 / _BORDER_PX
    return sums


_BORDERS, _SORTED_SUMS = _border_indices(), _sorted_sums()
# Eight straight lines over the gray levels, (slope, height): four that rise, four that are even.
_LINES = np.repeat(np.array([[1, 0], [0, _LEAST_SPREAD]], np.float32), 4, axis=0)
_LEVELS = np.stack([np.arange(256), np.ones(256)]).astype(np.float32)
_OVER_LEVELS, _OF_PIXELS = Scratch(np.float32), Scratch(np.float32)


def locate(pixels: Array, least_px: int) -> Array:
    """The part of the frame that holds the garment: a square view of `pixels`, uint8 (H, W, 3) BGR or (H, W).

    It is square, so that a dress stays narrow and a shirt wide. Where nothing stands out from the border it is the
    frame's middle. No side becomes smaller than least_px, unless the frame's is.
    """
    row, column, side = garment_square(pixels, least_px)
    return pixels[row : row + side, column : column + side]


def garment_square(pixels: Array, least_px: int) -> Tuple[int, int, int]:
    """First row, first column and side of what `locate` gives, in pixels."""
    height, width = pixels.shape[:2]
    top, bottom, left, right = _garment_box(_small(pixels))
    box_px = max((bottom - top) * height, (right - left) * width)
    side = max(least_px, round(box_px * (1 + 2 * _MARGIN)), round(_LEAST_SIDE * max(height, width)))
    side = min(side, height, width)
    row = round((top + bottom) / 2 * height - side / 2)
    column = round((left + right) / 2 * width - side / 2)
    return min(max(row, 0), height - side), min(max(column, 0), width - side), side


def _small(pixels: Array) -> Array:
    """The frame squashed to uint8 (32, 32): the mean of four of its pixels each is enough to find something."""
    few = passing_samples(pixels, 2 * _SEARCH_PX)
    return cv2.resize(few, (_SEARCH_PX, _SEARCH_PX), interpolation=cv2.INTER_AREA)


def _garment_box(small: Array) -> Tuple[float, float, float, float]:
    """Top, bottom, left and right of what stands out from the border, as fractions of the frame's height and width."""
    away = cv2.LUT(small, _distances_to_border(small))
    threshold, _ = cv2.threshold(away, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    _, standing = cv2.threshold(away, 0.8 * threshold, 0, cv2.THRESH_TOZERO)
    top, bottom = _ends(cv2.reduce(standing, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel().tolist())
    left, right = _ends(cv2.reduce(standing, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel().tolist())
    return top, bottom, left, right


def _ends(sums: List[int]) -> Tuple[float, float]:
    """Where what stands out begins and ends along an axis, its tails cut off; all of the axis if nothing does."""
    share = list(accumulate(sums))
    whole = share[-1]
    if whole == 0:
        return 0.0, 1.0
    first, last = bisect_left(share, _TAIL * whole), bisect_left(share, (1 - _TAIL) * whole)
    return first / _SEARCH_PX, (last + 1) / _SEARCH_PX


def _distances_to_border(small: Array) -> Array:
    """How far a pixel of each gray level is from what the nearest-looking of the four borders shows. uint8 (256,).

    In mean deviations of that border, scaled so that the farthest that counts is 255. Four borders, since a garment may
    touch one and a floor may meet a wall. Of levels and not of pixels, for there are four times as many pixels.
    """
    borders = small.take(_BORDERS)
    borders.sort(axis=1)
    # Of whole numbers, halves and 64ths: exact, in whatever order they are added. A product spreads them over the
    # levels without the memory that numpy's broadcasting asks for each time.
    lines = _LINES.copy()
    lines[:, 1] += (borders.astype(np.float32) @ _SORTED_SUMS).T.ravel()
    over_levels = np.matmul(lines, _LEVELS, out=_OVER_LEVELS.take((8, 256)))
    from_median, spreads = over_levels[:4], over_levels[4:]
    distances = np.divide(np.abs(from_median, out=from_median), spreads, out=from_median)
    nearest: Array = cv2.reduce(distances, 0, cv2.REDUCE_MIN)[0]
    of_pixels = cv2.LUT(small, nearest, dst=_OF_PIXELS.take(small.shape)).reshape(-1)
    of_pixels.partition(_BRIGHTEST)
    most = max(float(of_pixels[_BRIGHTEST]), _STANDS_OUT)
    levels: Array = (np.minimum(nearest, most) * np.float32(255 / most)).astype(np.uint8)
    return levels
