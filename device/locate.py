"""Where in the frame the garment is, so that a far one gets as many of the 28x28 pixels as a near one."""

from typing import Tuple

import cv2
import numpy as np

from device.arrays import Array

# 48 px show where something lies, and cost nothing; the mean deviation of an even border (paper, a wall) is 0,
# and six gray levels keep its noise from looking like a garment.
_SEARCH_PX = 48
_LEAST_SPREAD = 6.0
# The box holds 94 % of what stands out along each axis, plus 7 % of the frame on either side, and never less than
# 30 % of the frame: training shows garments at 34 % and more.
_TAIL = 0.03
_MARGIN = 0.07
_LEAST_SIDE = 0.3


def locate(pixels: Array, least_px: int) -> Array:
    """The part of the frame that holds the garment: a view of uint8 (H, W, 3) B,G,R or (H, W) gray.

    It has the frame's own aspect, so nothing is squashed more than in the whole frame, and it is the whole frame where
    nothing stands out from the border. least_px: neither side becomes smaller, unless the frame's is.
    """
    height, width = pixels.shape[:2]
    y, x, side = _garment_box(pixels)
    rows = min(height, max(least_px, round(side * height)))
    columns = min(width, max(least_px, round(side * width)))
    top, left = min(int(y * height), height - rows), min(int(x * width), width - columns)
    return pixels[top : top + rows, left : left + columns]


def _garment_box(pixels: Array) -> Tuple[float, float, float]:
    """Top, left and side of the part that stands out from the border, as fractions of the frame's height and width."""
    away = _distance_to_border(pixels)
    levels = (away * (255 / max(float(away.max()), 1e-6))).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    standing = np.where(levels > 0.8 * threshold, levels, 0).astype(np.float32)
    total = float(standing.sum())
    if total == 0:
        return 0.0, 0.0, 1.0
    spans = []
    for axis in (1, 0):
        share = np.cumsum(standing.sum(axis=axis)) / total
        first, last = np.searchsorted(share, (_TAIL, 1 - _TAIL))
        spans.append((first / len(share), (last + 1) / len(share)))
    side = min(1.0, max(_LEAST_SIDE, *(end - start for start, end in spans)) + 2 * _MARGIN)
    # Centred on the garment, but inside the frame.
    top, left = (min(max((start + end - side) / 2, 0.0), 1 - side) for start, end in spans)
    return top, left, side


def _distance_to_border(pixels: Array) -> Array:
    """How far each pixel's colour is from what the nearest-looking of the four borders shows. float32, about 48 px.

    In mean deviations of that border, the largest of the channels. Four borders, since a garment may touch one and a
    floor may meet a wall.
    """
    step = max(1, min(pixels.shape[:2]) // (2 * _SEARCH_PX))
    small = np.ascontiguousarray(pixels[::step, ::step])
    scale = _SEARCH_PX / max(small.shape[:2])
    size = (max(8, round(small.shape[1] * scale)), max(8, round(small.shape[0] * scale)))
    small = cv2.GaussianBlur(cv2.resize(small, size, interpolation=cv2.INTER_AREA), (3, 3), 0).astype(np.float32)
    if small.ndim == 2:
        small = small[..., np.newaxis]
    channels = small.shape[2]
    distances = []
    for strip in (small[:2], small[-2:], small[:, :2], small[:, -2:]):
        border = strip.reshape(-1, channels)
        centre = np.median(border, axis=0)
        spread = np.abs(border - centre).mean(axis=0) + _LEAST_SPREAD
        distances.append((np.abs(small - centre) / spread).max(axis=2))
    distance: Array = np.min(distances, axis=0)
    # One glint must not outshine the garment.
    nearest: Array = np.minimum(distance, np.quantile(distance, 0.95))
    return nearest
