"""Scores over time -> the one answer that people see, or "unsure"."""

from math import exp
from typing import List, Optional

from device.frame import Prediction
from device.labels import LABELS, UNSURE


class Decision:
    """Smooths confidences over frames and holds on to an answer, so that a video does not flicker.

    unsure_below: confidence under which nothing is named, 0..1 (from the model card).
    smoothing_s: time constant of the exponential average, seconds; 0 decides on each frame alone.
    hysteresis: how far below `unsure_below` a shown label may fall before it is taken down, and by how
    much another must lead before it replaces it.
    """

    def __init__(self, unsure_below: float, smoothing_s: float = 0.0, hysteresis: float = 0.0) -> None:
        self._unsure_below = unsure_below
        self._smoothing_ns = smoothing_s * 1e9
        self._hysteresis = hysteresis
        self._average: Optional[List[float]] = None
        self._then_ns = 0
        self._shown: Optional[int] = None

    def __call__(self, prediction: Prediction, captured_ns: int) -> str:
        """The label to show for a frame captured at `captured_ns` (monotonic), or "unsure"."""
        now = [score * prediction.garment for score in prediction.scores]
        if self._average is not None and self._smoothing_ns > 0:
            # The weight follows the time that passed: skipped frames and slow cameras decide as fast.
            keep = exp(-max(0, captured_ns - self._then_ns) / self._smoothing_ns)
            now = [keep * before + (1 - keep) * new for before, new in zip(self._average, now)]
        self._average, self._then_ns = now, captured_ns
        self._shown = self._choose(now)
        return UNSURE if self._shown is None else LABELS[self._shown]

    def _choose(self, confidences: List[float]) -> Optional[int]:
        highest = max(confidences)
        if self._shown is not None:
            shown = confidences[self._shown]
            leads = highest - shown > self._hysteresis
            if not leads and shown >= self._unsure_below - self._hysteresis:
                return self._shown
        return confidences.index(highest) if highest >= self._unsure_below else None
