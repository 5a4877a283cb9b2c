"""Where in the frame the garment is, so that a far one gets as many of the 28x28 pixels as a near one."""

from __future__ import annotations

from bisect import bisect_left
from math import isqrt
from typing import List, NamedTuple, Tuple

import cv2
import numpy as np

from device.arrays import Array
from device.gray import Scratch, passing_samples

# 32x32 show where something lies, and cost nothing. Six gray levels are added to a border's mean deviation, which for
# paper or a wall is 0: their noise must not look like a garment. Distances are in sixths of deviations, so beside an
# even border they are gray levels, and always fit a byte.
_SEARCH_PX = 32
_LEAST_SPREAD = 6
# One glint must not outshine the garment: what is farther from the border than 95 % of the pixels counts no more; but a
# far garment has fewer than 5 % of them, so six deviations count in any case.
_STANDS_OUT = 6 * _LEAST_SPREAD
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


def _distances() -> Array:
    """Row n: how far levels of -255, -254, ..., 255 are from 0 where the mean deviation is n. uint8 (128, 511)."""
    spreads = np.arange(128)[:, np.newaxis] + _LEAST_SPREAD
    sixths: Array = np.rint(np.abs(np.arange(-255, 256)) * _LEAST_SPREAD / spreads)
    return sixths.astype(np.uint8)


_BORDERS, _DISTANCES = _border_indices(), _distances()
_SUMS = Scratch(np.int32)
_OTSU = cv2.THRESH_BINARY | cv2.THRESH_OTSU


class Square(NamedTuple):
    """Where the garment is, in pixels of the frame: first row, first column, side. It may stick out of the frame."""

    row: int
    column: int
    side: int

    def grown(self, factor: float) -> Square:
        """A square of `factor` times its side around the same centre."""
        side = round(self.side * factor)
        return Square(self.row + (self.side - side) // 2, self.column + (self.side - side) // 2, side)

    def cut(self, pixels: Array) -> Tuple[Array, Tuple[int, int, int, int]]:
        """What of it is in the frame, a view of `pixels`, uint8 (H, W, 3) or (H, W), and how far it sticks out.

        That is by how many pixels at the top, bottom, left and right.
        """
        row, column, side = self
        height, width = pixels.shape[:2]
        bottom, right = row + side, column + side
        top, left = max(row, 0), max(column, 0)
        beyond = top - row, max(bottom - height, 0), left - column, max(right - width, 0)
        return pixels[top:bottom, left:right], beyond


def locate(pixels: Array, least_px: int) -> Square:
    """The square that holds the garment of a frame, uint8 (H, W, 3) BGR or (H, W).

    It is square, so that a dress stays narrow and a shirt wide, and has at most the frame's area: of a coat that fills
    a frame of 3:4 seven eighths are seen, for an eighth of the resolution. Where it is wider than the frame it
    sticks out on both sides alike. Where nothing stands out from the border it is the frame's middle.
    Its side is at least least_px, unless the frame is smaller.
    """
    height, width = pixels.shape[:2]
    top, bottom, left, right = _garment_box(_small(pixels))
    box_px = max((bottom - top) * height, (right - left) * width)
    side = max(least_px, round(box_px * (1 + 2 * _MARGIN)), round(_LEAST_SIDE * max(height, width)))
    side = min(side, isqrt(height * width))
    row, column = _first((top + bottom) / 2 * height, side, height), _first((left + right) / 2 * width, side, width)
    return Square(row, column, side)


def _first(centre: float, side: int, length: int) -> int:
    """Where a square of that side begins along an axis of that length, its centre as near to `centre` as can be."""
    if side >= length:
        return (length - side) // 2
    return min(max(round(centre - side / 2), 0), length - side)


def _small(pixels: Array) -> Array:
    """The frame squashed to uint8 (32, 32): the mean of two pixels of a row each is enough to find something.

    Of one row and not of two, since it is rows that cost: each is elsewhere in memory.
    """
    few = passing_samples(pixels, 2 * _SEARCH_PX, _SEARCH_PX)
    return cv2.resize(few, (_SEARCH_PX, _SEARCH_PX), None, 0, 0, cv2.INTER_LINEAR)


def _garment_box(small: Array) -> Tuple[float, float, float, float]:
    """Top, bottom, left and right of what stands out from the border, as fractions of the frame's height and width."""
    away = cv2.LUT(small, _distances_to_border(small))
    ordered = away.flatten()
    ordered.sort(kind="stable")  # Of bytes that is a radix sort, and faster than finding one of them.
    cv2.threshold(away, max(ordered.item(_BRIGHTEST), _STANDS_OUT), 0, cv2.THRESH_TRUNC, away)
    threshold, _ = cv2.threshold(away, 0, 255, _OTSU)
    cv2.threshold(away, 0.8 * threshold, 0, cv2.THRESH_TOZERO, away)
    # The last column is what stands out above each row, the last row what stands out left of each column.
    sums = cv2.integral(away, _SUMS.take((_SEARCH_PX + 1, _SEARCH_PX + 1)))
    top, bottom = _ends(sums[:, -1].tolist())
    left, right = _ends(sums[-1].tolist())
    return top, bottom, left, right


def _ends(sums: List[int]) -> Tuple[float, float]:
    """Where what stands out begins and ends along an axis, its tails cut off; all of the axis if nothing does."""
    whole = sums[-1]
    if whole == 0:
        return 0.0, 1.0
    return (bisect_left(sums, _TAIL * whole) - 1) / _SEARCH_PX, bisect_left(sums, (1 - _TAIL) * whole) / _SEARCH_PX


def _distances_to_border(small: Array) -> Array:
    """How far a pixel of each gray level is from what the nearest-looking of the four borders shows. uint8 (256,).

    From the border's median, in sixths of its mean deviation. Four borders, since a garment may touch one and a floor
    may meet a wall. Of levels and not of pixels, for there are four times as many pixels.
    """
    borders = small.take(_BORDERS)
    borders.sort(axis=1, kind="stable")
    medians = borders[:, _BORDER_PX // 2].tolist()
    # The mean deviation from a median: the brighter half's sum minus the darker half's, over all.
    halves = cv2.reduce(borders.reshape(8, -1), 1, cv2.REDUCE_SUM, None, cv2.CV_32S).ravel().tolist()
    top, bottom, left, right = [
        _DISTANCES[(brighter - darker) // _BORDER_PX, 255 - median : 511 - median]
        for median, darker, brighter in zip(medians, halves[::2], halves[1::2])
    ]
    nearest: Array = np.minimum(np.minimum(top, bottom), np.minimum(left, right))
    return nearest
