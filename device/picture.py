"""One picture of one answer: the frame, the 28x28 that the model saw, the ten scores."""

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
    seen_px = 196
    seen = cv2.resize(result.image, (seen_px, seen_px), interpolation=cv2.INTER_NEAREST)
    panel[34 : 34 + seen_px, 12 : 12 + seen_px] = cv2.cvtColor(seen, cv2.COLOR_GRAY2BGR)
    _text(panel, "what the model saw (28x28)", (12, 22), 0.5)
    _text(panel, f"preprocess {result.timings.preprocess_ns / 1000:.0f} us", (218, 60), 0.45)
    _text(panel, f"inference  {result.timings.inference_ns / 1000:.0f} us", (218, 80), 0.45)
    if result.frame.truth is not None:
        _text(panel, f"truth: {result.frame.truth}", (218, 110), 0.45)
    for row, (label, score) in enumerate(zip(LABELS, result.prediction.scores)):
        y = 252 + 22 * row
        colour = _BEST if label == result.prediction.label else _BAR
        cv2.rectangle(panel, (120, y - 12), (120 + round(float(score) * 220), y + 2), colour, cv2.FILLED)
        _text(panel, label, (12, y), 0.45)
        _text(panel, f"{score:.2f}", (348, y), 0.45)
    return np.hstack([frame, panel])


def _text(image: Array, text: str, at: tuple[int, int], scale: float) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, 1, cv2.LINE_AA)
