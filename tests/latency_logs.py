"""Latency logs for tests: results with given times, through the real log, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from device.config import LogConfig
from device.frame import Frame, Prediction, Result, Timings
from device.health import Health
from device.latency_log import LatencyLog
from device.latency_read import Run, read_run
from device.records import Header, new_header

MS = 1_000_000
SECOND = 1_000_000_000
PERIOD_NS = 33_000_000

PLENTY = LogConfig(keep_free_mb=0)
"""The default settings, on a test machine whose disk may be nearly full."""


class Clock:
    """Monotonic nanoseconds that pass only when told."""

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def sleep(self, ns: int) -> None:
        self.now_ns += ns


def header(**facts: object) -> Header:
    names = ("source", "model", "model_sha256", "preprocessing", "runtime", "config_sha256", "machine")
    return msgspec.structs.replace(new_header(**dict.fromkeys(names, "x"), threads=1, versions={}), **facts)


def timings(total_ns: int, **others: object) -> Timings:
    """30 % preprocess, 60 % inference, 10 % decision, unless `others` say otherwise."""
    values = {
        "wait_ns": max(0, PERIOD_NS - total_ns),
        "dequeue_ns": None,
        "preprocess_ns": total_ns * 3 // 10,
        "inference_ns": total_ns * 6 // 10,
        "decision_ns": total_ns - total_ns * 3 // 10 - total_ns * 6 // 10,
        "total_ns": total_ns,
        "age_ns": total_ns + 20 * MS,
        "age_from": "exposure",
        "sinks_before_ns": MS // 10,
    }
    return Timings(**{**values, **others})


_PREDICTION = Prediction((0.1,) * 10, 1.0)
_IMAGE = np.zeros((28, 28), np.uint8)


def result(sequence: int, captured_ns: int, times: Timings, *, warmup: bool = False, skipped: int = 0) -> Result:
    return Result(
        Frame(_IMAGE, sequence, captured_ns), _IMAGE, _PREDICTION, "Bag", times, skipped=skipped, warmup=warmup
    )


def write_log(
    folder: Path,
    totals_ns: Iterable[int],
    *,
    warmup: int = 0,
    skipped: int = 0,
    settings: LogConfig = PLENTY,
    health: Callable[[int], Health | None] = lambda now_ns: None,
    about: Header | None = None,
    age_from: str = "exposure",
) -> Path:
    """A log of one frame each 33 ms with these totals. `health` gives the reading of a moment."""
    about = about or header()
    clock = Clock(about.start_ns)
    with LatencyLog(folder, about, settings, clock=clock) as log:
        seen: Health | None = None
        for number, total_ns in enumerate(totals_ns):
            captured_ns = about.start_ns + number * PERIOD_NS
            clock.now_ns = captured_ns + total_ns
            log(
                result(
                    number, captured_ns, timings(total_ns, age_from=age_from), warmup=number < warmup, skipped=skipped
                )
            )
            reading = health(clock.now_ns)
            if reading is not None and reading != seen:
                seen = reading
                log.health(reading)
            clock.now_ns = captured_ns + PERIOD_NS
        log.ended = "frames"
    return log.path


def read_log(folder: Path, totals_ns: Iterable[int], **options: object) -> Run:
    return read_run(write_log(folder, totals_ns, **options))


def jittered(rng: np.random.Generator, typical_ns: float, count: int, spread: float = 0.1) -> Iterator[int]:
    """`count` durations around `typical_ns`, with the long tail that computers have."""
    return (int(value) for value in typical_ns * rng.lognormal(0, spread, count))
