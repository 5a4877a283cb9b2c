"""One picture of one answer: the frame, what the model saw, the ten scores."""

from __future__ import annotations

import cv2
import numpy as np

from device.arrays import Array
from device.frame import Result
from device.labels import LABELS

_HEIGHT_PX = 480
_CAPTION_PX = 44
_PANEL_PX = 400
_INK = (235, 235, 235)
_BAR = (200, 160, 60)
_BEST = (90, 200, 90)


def draw_result(result: Result) -> Array:
    """uint8, shape (480, width, 3), BGR: frame with the answer, what the model saw, scores as bars."""
    pixels = result.frame.pixels
    if pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    height = _HEIGHT_PX - _CAPTION_PX
    width = min(2000, max(300, round(pixels.shape[1] * height / pixels.shape[0])))
    frame = np.full((_HEIGHT_PX, width, 3), 30, np.uint8)
    frame[:height] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    best = f"{result.prediction.label} {result.prediction.score:.0%}"
    answer = best if result.decision == result.prediction.label else f"{result.decision} (best {best})"
    _text(frame, answer, (10, _HEIGHT_PX - 15), 0.8)

    panel = np.full((_HEIGHT_PX, _PANEL_PX, 3), 30, np.uint8)
    seen = cv2.resize(beside(result.image), None, fx=6, fy=6, interpolation=cv2.INTER_NEAREST)
    panel[30 : 30 + seen.shape[0], 12 : 12 + seen.shape[1]] = cv2.cvtColor(seen, cv2.COLOR_GRAY2BGR)
    _text(panel, "what the model saw (28x28 each)", (12, 20), 0.5)
    timings = result.timings
    took = f"preprocess {timings.preprocess_ns / 1000:.0f} us, inference {timings.inference_ns / 1000:.0f} us"
    _text(panel, took, (12, 214), 0.45)
    if result.frame.truth is not None:
        _text(panel, f"truth: {result.frame.truth}", (12, 232), 0.45)
    for row, (label, score) in enumerate(zip(LABELS, result.prediction.scores)):
        y = 252 + 22 * row
        colour = _BEST if label == result.prediction.label else _BAR
        cv2.rectangle(panel, (120, y - 12), (120 + round(float(score) * 220), y + 2), colour, cv2.FILLED)
        _text(panel, label, (12, y), 0.45)
        _text(panel, f"{score:.2f}", (348, y), 0.45)
    return np.hstack([frame, panel])


def beside(image: Array) -> Array:
    """What a model saw, for people: uint8 (28, 28), or crops (k, 28, 28) -> (28, 29 * k - 1), a line between them."""
    return image if image.ndim == 2 else np.hstack(list(np.pad(image, ((0, 0), (0, 0), (0, 1)))))[:, :-1]


def _text(image: Array, text: str, at: tuple[int, int], scale: float) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, 1, cv2.LINE_AA)
