"""Frame -> 28x28, or several: the only preprocessing. Training, evaluation, benchmark and the loop go through it.

A preprocessing has a name that ends in its version. The model card names the one that the model was
trained with, so a board can never feed a model what it has not seen. To change what a name does, add
the next version and retrain.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, Dict, Tuple

import cv2
import numpy as np

from device.arrays import Array
from device.errors import ModelError
from device.gray import passing_framed, passing_gray, passing_shrunk, to_gray
from device.locate import Square, locate

SIDE_PX = 28
"""Height and width of what every model sees, in pixels."""
_FAR_PX = 4 * SIDE_PX
_FARTHER = 1.155
"""What is seen of a located garment from farther, over its square: 2 / sqrt(3), so that nearer is sqrt(3) / 2 of it."""


def frame_1(pixels: Array) -> Array:
    """The whole frame, squashed to a square, as luma.

    Returns uint8, shape (28, 28), natural polarity.
    """
    part = crop_to_multiples(pixels)
    if part.shape[:2] == (SIDE_PX, SIDE_PX):
        return to_gray(part)
    # Fast when both sides are whole multiples of 28.
    return cv2.resize(passing_gray(part), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)


def cutout_1(pixels: Array) -> Array:
    """The garment cut out, bright on black, longest edge 28, centred: as Fashion-MNIST was made.

    The background is the colour of the frame's border. Fashion-MNIST's own pipeline trims, subsamples,
    centres and negates product photographs on white (arXiv:1708.07747, section 2); this one takes the
    polarity from the frame, since a garment may be lighter than what it lies on.
    A Fashion-MNIST image (black border) passes unchanged. Returns uint8, shape (28, 28).
    """
    if pixels.shape[:2] == (SIDE_PX, SIDE_PX):
        return to_gray(pixels)
    # Finding a box needs no resolution: every n-th pixel costs nothing and keeps edges sharp.
    step = max(1, min(pixels.shape[:2]) // 96)
    small = np.ascontiguousarray(pixels[::step, ::step])
    mask, background = _garment_mask(small)
    box = _box_of(mask)
    if box is None:
        return np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    top, bottom, left, right = box
    gray = to_gray(pixels[top * step : bottom * step, left * step : right * step])
    inside = mask[top:bottom, left:right]
    height, width = gray.shape
    scale = SIDE_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Whole-multiple steps first: INTER_AREA at a non-integer factor is many times slower.
    garment = cv2.resize(_subsample(gray, 2 * SIDE_PX), size, interpolation=cv2.INTER_AREA)
    keep = cv2.resize(inside, size, interpolation=cv2.INTER_AREA)
    brighter = float(gray.mean()) >= background
    if not brighter:
        garment = 255 - garment
    garment = cv2.multiply(garment, keep, scale=1 / 255)
    image = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    y, x = (SIDE_PX - size[1]) // 2, (SIDE_PX - size[0]) // 2
    image[y : y + size[1], x : x + size[0]] = garment
    return image


def stretch_1(pixels: Array) -> Array:
    """`frame_1` with its contrast stretched: the 16th darkest pixel becomes 0, the 16th brightest 255.

    So a dim room and a bright one look alike. A frame of nearly one gray is stretched to five times at most, or its
    noise would become a picture. Returns uint8, shape (28, 28), natural polarity.
    """
    return _stretched(frame_1(pixels))


def _stretched(image: Array) -> Array:
    return cv2.LUT(image, _contrast(image))


def _contrast(image: Array) -> Array:
    """uint8 (256,): what becomes of each gray level when `image` is stretched."""
    ordered = image.flatten()
    ordered.sort(kind="stable")  # Of bytes that is a radix sort, and faster than finding two of them.
    low, high = ordered.item(15), ordered.item(768)
    return _stretching(max(high - low, 48))[255 - low : 511 - low]


@lru_cache(maxsize=None)
def _stretching(width: int) -> Array:
    """uint8 (511,): what becomes of -255, -254, ..., 255 when 0 stays 0 and `width` becomes 255."""
    return np.clip(np.arange(-255, 256) * (255 / width), 0, 255).astype(np.uint8)


def located_6(pixels: Array) -> Array:
    """The square that holds the garment, from a little farther and, mirrored, from a little nearer.

    Stretched as in `stretch_1`, both by the contrast of the farther one. The model is asked of both: it errs less alike
    in them than in an image and its mirror image (docs/tried.md). Their sides are as 4 to 3, so that one picture of
    112x112 is the source of both: all of it averaged by fours, its middle 84x84 by threes. An image of 28x28 is taken
    as it is, and mirrored.
    Returns uint8, shape (2, 28, 28), natural polarity.
    """
    if pixels.shape[:2] == (SIDE_PX, SIDE_PX):
        far = near = to_gray(pixels)
    else:
        far = passing_square(pixels, farther_square(pixels))
        near = nearer(far)
    return crops_of(far, near)


def farther_square(pixels: Array) -> Square:
    """Around where the garment is, and larger."""
    return locate(pixels, SIDE_PX).grown(_FARTHER)


def passing_square(pixels: Array, square: Square) -> Array:
    """The luma of a square that may stick out of the frame, whose edge goes on there: good until the next call.

    A large one is shrunk to 112x112 by interpolation between every n-th of its rows: that reads a part of its pixels,
    and takes the same time whatever its size, while averaging all of them took longer than all the rest; the answers
    for photographs of unseen people are as good (docs/tried.md). Colour is shrunk before it becomes gray, so it may
    differ from its own Y plane by a few levels. Returns uint8, shape (n, n), n <= 112.
    """
    part, beyond = square.cut(pixels)
    if square.side <= _FAR_PX:
        gray = passing_gray(part)
    else:
        top, bottom, left, right = [_FAR_PX * edge // square.side for edge in beyond]
        gray = passing_shrunk(part[:: square.side // _FAR_PX], _FAR_PX - left - right, _FAR_PX - top - bottom)
        beyond = top, bottom, left, right
    return passing_framed(gray, beyond) if any(beyond) else gray


def nearer(far: Array) -> Array:
    """The middle three quarters of a square: a view."""
    around = len(far) // 8
    return far[around : len(far) - around, around : len(far) - around]


def crops_of(far: Array, near: Array) -> Array:
    """Two squares, uint8 -> the two crops, (2, 28, 28), the second mirrored, both with the contrast of the first."""
    crops = both_shrunk(far, near)
    return cv2.LUT(crops, _contrast(crops[:SIDE_PX])).reshape(2, SIDE_PX, SIDE_PX)


def both_shrunk(far: Array, near: Array) -> Array:
    """Two squares, uint8 -> (56, 28): one below the other, the second mirrored."""
    crops = np.empty((2 * SIDE_PX, SIDE_PX), np.uint8)
    if len(far) == _FAR_PX:  # Twice by two is faster than once by four.
        far = cv2.resize(far, (_FAR_PX // 2, _FAR_PX // 2), None, 0, 0, cv2.INTER_AREA)
    cv2.resize(far, (SIDE_PX, SIDE_PX), crops[:SIDE_PX], 0, 0, cv2.INTER_AREA)
    cv2.flip(cv2.resize(near, (SIDE_PX, SIDE_PX), None, 0, 0, cv2.INTER_AREA), 1, crops[SIDE_PX:])
    return crops


PREPROCESSINGS: Dict[str, Callable[[Array], Array]] = {
    "frame-1": frame_1,
    "stretch-1": stretch_1,
    "located-6": located_6,
    "cutout-1": cutout_1,
}


def preprocessing(name: str) -> Callable[[Array], Array]:
    """The function called `name`: uint8 (H, W, 3) BGR or (H, W) gray -> uint8 (28, 28), or several crops (k, 28, 28).

    Raises ModelError when this program does not know `name`.
    """
    try:
        return PREPROCESSINGS[name]
    except KeyError:
        raise ModelError(
            f"preprocessing {name!r}: unknown here (known: {', '.join(PREPROCESSINGS)}); "
            "the model card was written by another version: deploy code and model together"
        ) from None


def crop_to_multiples(pixels: Array) -> Array:
    """The largest centred crop whose sides are whole multiples of 28 (a view).

    A side under 16 * 28 px stays whole: the remainder would be a large part of it, and shrinking it is cheap anyhow.
    """
    height, width = pixels.shape[:2]
    new_height, new_width = (side - side % SIDE_PX if side >= 16 * SIDE_PX else side for side in (height, width))
    y, x = (height - new_height) // 2, (width - new_width) // 2
    return pixels[y : y + new_height, x : x + new_width]


def _subsample(gray: Array, least_px: int) -> Array:
    """Every n-th pixel, as Fashion-MNIST did, while the longest side keeps at least `least_px`."""
    step = max(1, max(gray.shape) // least_px)
    return np.ascontiguousarray(gray[::step, ::step])


def _garment_mask(small: Array) -> Tuple[Array, float]:
    """Where the garment is (uint8, 255 inside), and the background's luma.

    Every pixel's distance to the median colour of the border, split by Otsu's threshold; the largest
    connected part is the garment.
    """
    edge = max(1, min(small.shape[:2]) // 20)
    strips = (small[:edge], small[-edge:], small[:, :edge].swapaxes(0, 1), small[:, -edge:].swapaxes(0, 1))
    border = np.concatenate([strip.reshape(-1, *small.shape[2:]) for strip in strips])
    colour = np.median(border, axis=0)
    scalar: Any = tuple(float(level) for level in np.atleast_1d(colour))  # cv2's Scalar; its stubs know arrays only
    row = small.reshape(1, -1, *small.shape[2:])  # In a picture of 1x4, cv2 would take the scalar for another picture.
    distance: Array = cv2.absdiff(row, scalar).reshape(small.shape)
    if distance.ndim == 3:
        blue, green, red = cv2.split(distance)
        distance = cv2.max(cv2.max(blue, green), red)
    _, mask = cv2.threshold(distance, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count > 1:
        largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        mask = (parts == largest).view(np.uint8) * np.uint8(255)
    luma = colour if colour.ndim == 0 else colour @ (0.114, 0.587, 0.299)
    return mask, float(luma)


def _box_of(mask: Array) -> Tuple[int, int, int, int] | None:
    """(top, bottom, left, right) of the mask, half open; None when it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
