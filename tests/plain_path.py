"""The path from frame to answer written plainly, as it was when the shipped model was trained.

The board's own code may become faster, but every byte of its pictures, and every answer, stays what this gives.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from device.frame import Prediction
from device.labels import LABELS, UNSURE
from device.model_card import OutputSpec


def to_gray(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)


def frame_1(pixels: np.ndarray) -> np.ndarray:
    gray = to_gray(pixels)
    height, width = gray.shape
    new_height, new_width = (side - side % 28 if side >= 16 * 28 else side for side in (height, width))
    y, x = (height - new_height) // 2, (width - new_width) // 2
    crop = gray[y : y + new_height, x : x + new_width]
    return crop if crop.shape == (28, 28) else cv2.resize(crop, (28, 28), interpolation=cv2.INTER_AREA)


def stretch_1(pixels: np.ndarray) -> np.ndarray:
    image = frame_1(pixels)
    ordered = np.sort(image, axis=None)
    low, high = int(ordered[15]), int(ordered[768])
    table = np.clip((np.arange(256) - low) * (255 / max(high - low, 48)), 0, 255).astype(np.uint8)
    return table[image]


def located_6(pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[:2] == (28, 28):
        far = near = to_gray(pixels)
    else:
        row, column, located = locate(pixels, 28)
        side = round(located * 1.155)
        row, column = row + (located - side) // 2, column + (located - side) // 2
        height, width = pixels.shape[:2]
        part = pixels[max(row, 0) : row + side, max(column, 0) : column + side]
        beyond = [max(-row, 0), max(row + side - height, 0), max(-column, 0), max(column + side - width, 0)]
        if side > 112:
            beyond = [112 * edge // side for edge in beyond]
            size = (112 - beyond[2] - beyond[3], 112 - beyond[0] - beyond[1])
            part = cv2.resize(part[:: side // 112], size, interpolation=cv2.INTER_LINEAR)
        far = np.pad(to_gray(part), [beyond[:2], beyond[2:]], mode="edge")
        around = len(far) // 8
        near = far[around : len(far) - around, around : len(far) - around]
    smaller = cv2.resize(far, (56, 56), interpolation=cv2.INTER_AREA) if len(far) == 112 else far
    crops = [cv2.resize(gray, (28, 28), interpolation=cv2.INTER_AREA) for gray in (smaller, near)]
    ordered = np.sort(crops[0], axis=None)
    low, high = int(ordered[15]), int(ordered[768])
    table = np.clip((np.arange(256) - low) * (255 / max(high - low, 48)), 0, 255).astype(np.uint8)
    return np.stack([table[crops[0]], table[crops[1]][:, ::-1]])


def every_so_often(gray: np.ndarray, width: int, height: int) -> np.ndarray:
    wanted = zip((height, width), gray.shape[:2], strict=True)
    rows, columns = ((np.arange(count) * (1 / (count / length))).astype(int) for count, length in wanted)
    return gray[rows[:, np.newaxis], columns]


def locate(pixels: np.ndarray, least_px: int) -> tuple[int, int, int]:
    height, width = pixels.shape[:2]
    top, bottom, left, right = _garment_box(to_gray(pixels))
    box_px = max((bottom - top) * height, (right - left) * width)
    side = min(max(least_px, round(box_px * 1.24), round(0.2 * max(height, width))), int((height * width) ** 0.5))
    firsts = []
    for centre, length in (((top + bottom) / 2 * height, height), ((left + right) / 2 * width, width)):
        inside = min(max(round(centre - side / 2), 0), length - side)
        firsts.append(inside if side < length else (length - side) // 2)
    return firsts[0], firsts[1], side


def _garment_box(gray: np.ndarray) -> tuple[float, float, float, float]:
    small = cv2.resize(every_so_often(gray, 64, 32), (32, 32), interpolation=cv2.INTER_LINEAR)
    levels = small.astype(np.float64)
    borders = np.stack([levels[:2].ravel(), levels[-2:].ravel(), levels[:, :2].ravel(), levels[:, -2:].ravel()])
    borders.sort(axis=1)
    centres = borders[:, 32:33]
    spreads = np.floor(np.abs(borders - centres).mean(axis=1, keepdims=True)) + 6
    distance = np.rint(np.abs(levels.reshape(1, -1) - centres) * 6 / spreads).min(axis=0)
    far = np.minimum(distance, max(np.sort(distance)[972], 36)).astype(np.uint8).reshape(small.shape)
    threshold, _ = cv2.threshold(far, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    standing = np.where(far > 0.8 * threshold, far, 0)
    if not standing.any():
        return 0.0, 1.0, 0.0, 1.0
    sides = []
    for axis in (1, 0):
        share = np.cumsum(standing.sum(axis=axis, dtype=np.int64))
        first, last = np.searchsorted(share, (0.03 * share[-1], (1 - 0.03) * share[-1]))
        sides += [first / 32, (last + 1) / 32]
    top, bottom, left, right = sides
    return top, bottom, left, right


PREPROCESSINGS = {"frame-1": frame_1, "stretch-1": stretch_1, "located-6": located_6}


def to_prediction(logits: np.ndarray, output: OutputSpec) -> Prediction:
    logits = logits.astype(np.float64)
    exponents = np.exp((logits - logits.max()) / output.temperature)
    garment = 1.0
    if output.background:
        total = float(np.logaddexp.reduce(logits))
        garment = 1.0 / (1.0 + float(np.exp(-total)))
    return Prediction(tuple((exponents / exponents.sum()).tolist()), garment)


class Decision:
    def __init__(self, unsure_below: float, smoothing_s: float = 0.0, hysteresis: float = 0.0) -> None:
        self._unsure_below = unsure_below
        self._smoothing_ns = smoothing_s * 1e9
        self._hysteresis = hysteresis
        self._average: np.ndarray | None = None
        self._then_ns = 0
        self._shown: int | None = None

    def __call__(self, prediction: Prediction, captured_ns: int) -> str:
        now = np.array(prediction.scores) * prediction.garment
        if self._average is None or self._smoothing_ns == 0:
            self._average = now
        else:
            # Not numpy's: its last bit may differ, and 1 - keep is then far off where little time passed.
            keep = math.exp(-max(0, captured_ns - self._then_ns) / self._smoothing_ns)
            self._average = keep * self._average + (1 - keep) * now
        self._then_ns = captured_ns
        self._shown = self._choose(self._average)
        return UNSURE if self._shown is None else LABELS[self._shown]

    def _choose(self, confidences: np.ndarray) -> int | None:
        best = int(confidences.argmax())
        if self._shown is not None:
            shown = confidences[self._shown]
            leads = confidences[best] - shown > self._hysteresis
            if not leads and shown >= self._unsure_below - self._hysteresis:
                return self._shown
        return best if confidences[best] >= self._unsure_below else None
