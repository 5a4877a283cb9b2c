"""What the loop hands to the server's thread: the newest result, and a ring of latencies."""

from __future__ import annotations

import time
from typing import Callable, Dict, List, Optional

import msgspec
import numpy as np

from device.arrays import Array
from device.frame import Result

REMEMBERED = 300
"""Frames in the sparkline and the percentiles: ten seconds at 30 frames/s."""

_LEAST_FOR_P99 = 100  # Under so many samples it is the maximum in disguise.
_RATE_WINDOW_NS = 3_000_000_000
_STALE_S = 2.0
_STALE_PERIODS = 5.0


class State(msgspec.Struct, frozen=True):
    """What the page shows beside the two pictures. Unknown is None.

    age_s: since the newest answer; stale: it is older than a living camera's would be.
    latencies_us: frame in hand to answer, of the newest frames, oldest first, warm-up left out.
    skipped: frames of the camera that were not answered since the start; answered: those that were.
    rate_hz: answers a second, over the newest three seconds of answers.
    """

    source: str
    model: str
    age_s: float
    stale: bool
    answered: int
    skipped: int
    rate_hz: Optional[float]  # noqa: UP045 - msgspec evaluates it, on Python 3.8 too
    latencies_us: List[int]
    p50_us: Optional[float]  # noqa: UP045
    p99_us: Optional[float]  # noqa: UP045
    temperature_c: Optional[float]  # noqa: UP045
    label: Optional[str] = None  # noqa: UP045
    best: Optional[str] = None  # noqa: UP045
    scores: Optional[Dict[str, float]] = None  # noqa: UP045
    garment: Optional[float] = None  # noqa: UP045
    truth: Optional[str] = None  # noqa: UP045


class Slot:
    """The loop's thread puts, the server's thread reads. No lock: each side only replaces whole values.

    watched: while False, `put` keeps no result, only its latency.
    newest: the newest result while somebody looks, else None.
    """

    def __init__(self, source: str, model: str, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.watched = False
        self.newest: Result | None = None
        self._source, self._model = source, model
        self._clock = clock
        self._arrived_ns = clock()
        self._answered = self._skipped = self._timed = 0
        # Row 0: when the answer came; row 1: how long it took.
        self._ring = np.zeros((2, REMEMBERED), np.int64)

    def put(self, result: Result) -> None:
        """Take the newest result; microseconds, whoever looks."""
        self._arrived_ns = self._clock()
        self._answered += 1
        self._skipped += result.skipped
        if not result.warmup:
            at = self._timed % REMEMBERED
            self._ring[0, at] = self._arrived_ns
            self._ring[1, at] = result.timings.total_ns
            self._timed += 1
        if self.watched:
            self.newest = result

    def state(self, result: Result | None, temperature_c: float | None) -> State:
        """What there is to say now. result: the one whose scores are shown."""
        timed = self._timed
        ring = np.roll(self._ring, -timed, axis=1)[:, max(0, REMEMBERED - timed) :]
        rate_hz = _rate_hz(ring[0])
        age_s = max(0, self._clock() - self._arrived_ns) / 1e9
        prediction = result.prediction if result else None
        return State(
            source=self._source,
            model=self._model,
            age_s=age_s,
            stale=age_s > max(_STALE_S, _STALE_PERIODS / rate_hz if rate_hz else 0.0),
            answered=self._answered,
            skipped=self._skipped,
            rate_hz=rate_hz,
            latencies_us=(ring[1] // 1000).tolist(),
            p50_us=_percentile(ring[1], 50, least=1),
            p99_us=_percentile(ring[1], 99, least=_LEAST_FOR_P99),
            temperature_c=temperature_c,
            label=result.decision if result else None,
            best=prediction.label if prediction else None,
            scores=prediction.by_label() if prediction else None,
            garment=prediction.garment if prediction else None,
            truth=result.frame.truth if result else None,
        )


def _rate_hz(arrived_ns: Array) -> float | None:
    """Answers a second: over the newest seconds, so that a gap is soon forgotten, or over the newest two answers."""
    if len(arrived_ns) < 2:
        return None
    recent = arrived_ns[arrived_ns >= arrived_ns[-1] - _RATE_WINDOW_NS]
    recent = recent if len(recent) > 1 else arrived_ns[-2:]
    span_s = (int(recent[-1]) - int(recent[0])) / 1e9
    return (len(recent) - 1) / span_s if span_s > 0 else None


def _percentile(latencies_ns: Array, percent: int, least: int) -> float | None:
    """Nearest rank, microseconds, as in the report; None for fewer than `least` samples."""
    if len(latencies_ns) < least:
        return None
    return float(np.percentile(latencies_ns, percent, method="inverted_cdf")) / 1000
