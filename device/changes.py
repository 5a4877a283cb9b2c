"""What changed during a run: the stretch of time in which it was slow, and what the board did then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Optional, Sequence

import numpy as np

from device.arrays import Array
from device.health import Health, throttling
from device.latency_read import Run
from device.records import Window

LEAST_RISE = 1.5
"""p99 must grow to so many times what it was before it is called a change."""

_TOLERATED_RISE = 1.25
_FEWEST_WINDOWS = 4
_SHORTEST_STRETCH = 2
_STAGES = ("preprocess", "inference", "decision")


@dataclass(frozen=True)
class Rise:
    """A stretch of windows in which answers took longer.

    usual_ns, slow_ns: p99 of all frames outside, and inside. stage: the one that grew most. cause: what the board did
    meanwhile and not otherwise, in words that follow "when"; None if it told nothing.
    """

    start_ns: int
    end_ns: int
    usual_ns: float
    slow_ns: float
    stage: str
    cause: Optional[str]  # noqa: UP045 - as elsewhere


def find_rise(run: Run) -> Rise | None:
    """The slow stretch that stands out most, or None."""
    windows = [window for window in run.counted if run.histogram("total", [window]).percentile_ns(99) is not None]
    if len(windows) < _FEWEST_WINDOWS:
        return None
    p99 = np.array([run.histogram("total", [window]).percentile_ns(99) for window in windows], float)
    first, last = _highest_stretch(p99)
    inside, outside = _whole(run, windows[first:last]), [*windows[:first], *windows[last:]]
    if len(inside) < _SHORTEST_STRETCH or not outside:
        return None
    # Of all frames of either side: the p99 of windows only say where to look.
    slow_ns = run.histogram("total", inside).percentile_ns(99)
    usual_ns = run.histogram("total", outside).percentile_ns(99)
    if slow_ns is None or usual_ns is None or slow_ns < LEAST_RISE * usual_ns:
        return None
    start_ns, end_ns = inside[0].start_ns, inside[-1].end_ns
    readings = [reading for reading in run.health if start_ns <= reading.at_ns <= end_ns]
    others = [reading for reading in run.health if not start_ns <= reading.at_ns <= end_ns]
    return Rise(start_ns, end_ns, usual_ns, slow_ns, _grown(run, inside, outside), _cause(readings, others))


def _highest_stretch(p99: Array) -> tuple[int, int]:
    """(first, end) of the stretch with the largest sum of what exceeds the usual (Kadane's algorithm)."""
    excess = np.log(p99 / np.percentile(p99, 25)) - np.log(_TOLERATED_RISE)
    best, best_at, total, start = 0.0, (0, 0), 0.0, 0
    for index, value in enumerate(excess):
        if total <= 0:
            total, start = 0.0, index
        total += float(value)
        if total > best:
            best, best_at = total, (start, index + 1)
    return best_at


def _whole(run: Run, stretch: Sequence[Window]) -> Sequence[Window]:
    """Without a first and a last window that are slow in part only: when it began, their neighbours tell better."""
    if len(stretch) <= _SHORTEST_STRETCH:
        return stretch
    p50 = np.array([run.histogram("total", [window]).percentile_ns(50) for window in stretch], float)
    slow = p50 > np.median(p50) / _TOLERATED_RISE
    return stretch[0 if slow[0] else 1 : len(stretch) if slow[-1] else -1]


def _grown(run: Run, inside: Sequence[Window], outside: Sequence[Window]) -> str:
    def growth_ns(stage: str) -> float:
        return run.histogram(stage, inside).mean_ns() - run.histogram(stage, outside).mean_ns()

    return max(_STAGES, key=growth_ns)


def _cause(inside: Sequence[Health], outside: Sequence[Health]) -> str | None:
    if _throttled_share(inside) > _throttled_share(outside):
        names = sorted({name for reading in inside for name in throttling(reading)})
        return f"the board throttled ({', '.join(names)}{_hottest(inside)})"
    slow_hz, usual_hz = (_median(reading.clock_hz for reading in side) for side in (inside, outside))
    if slow_hz and usual_hz and slow_hz < 0.85 * usual_hz:
        return f"the clock fell from {usual_hz / 1e9:.2f} to {slow_hz / 1e9:.2f} GHz{_hottest(inside)}"
    slow_load, usual_load = (_median(reading.load_1m for reading in side) for side in (inside, outside))
    if slow_load is not None and usual_load is not None and slow_load > usual_load + 0.7:
        return f"the load rose from {usual_load:.1f} to {slow_load:.1f} processes"
    return None


def _throttled_share(readings: Sequence[Health]) -> float:
    return sum(bool(throttling(reading)) for reading in readings) / max(1, len(readings))


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _hottest(readings: Sequence[Health]) -> str:
    temperatures = [reading.temperature_c for reading in readings if reading.temperature_c is not None]
    return f", {max(temperatures):.0f} °C" if temperatures else ""
