"""What stands in a latency log: JSON Lines, one record a line, each named by its `record` key.

All times are monotonic nanoseconds of one run; the header ties them to the wall clock. Unknown is null.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any, Dict, List, Literal, Optional, Union

import msgspec

from device.health import Health

SUFFIX = ".jsonl"

STAGES = ("wait", "dequeue", "preprocess", "inference", "decision", "sinks", "total")
"""The stages of a frame, as `device.frame.Timings` defines them; its age is told apart by where it counts from."""

AGES = ("age from exposure", "age from arrival")


_MOST_BINS = 2200  # Of 1 % up to 2**63 ns.


class Header(msgspec.Struct, frozen=True, tag_field="record", tag="header"):
    """The first line of every part: what ran, on what.

    part: 0 for the first file of the run. start_utc: wall clock at the start, for people; start_ns: the
    monotonic clock at that moment. versions: program and library -> version.
    """

    schema: Literal[2]
    run_id: str
    start_utc: str
    start_ns: int
    source: str
    model: str
    model_sha256: str
    preprocessing: str
    runtime: str
    threads: int
    config_sha256: str
    machine: str
    versions: Dict[str, str]
    part: int = 0


class FrameRecord(msgspec.Struct, frozen=True, tag_field="record", tag="frame"):
    """One answered frame; the stages are those of `device.frame.Timings`.

    window: number of the window that counts it. wait_ns: None on the first frame after a gap, which is recorded itself.
    sinks_ns: None on the last frame of a run.
    """

    window: int
    sequence: int
    captured_ns: int
    wait_ns: Optional[int]  # noqa: UP045 - msgspec evaluates it, on Python 3.8 too
    dequeue_ns: Optional[int]  # noqa: UP045
    preprocess_ns: int
    inference_ns: int
    decision_ns: int
    sinks_ns: Optional[int]  # noqa: UP045
    total_ns: int
    age_ns: Optional[int]  # noqa: UP045
    age_from: Literal["exposure", "arrival"]
    skipped: int
    label: str
    score: float
    decision: str
    warmup: bool


class SlowFrame(FrameRecord, frozen=True, tag_field="record", tag="slow"):
    """One of the slowest frames of a window in which not every frame was recorded."""


class StageHistogram(msgspec.Struct, frozen=True):
    """How often a stage took how long in one window; `device.histograms` reads and merges it.

    n: frames. max_ns: the longest, exactly. bins: the counts of bins 0, 1, 2, ...; -5 stands for five empty ones.
    """

    n: int
    max_ns: int
    bins: List[int]

    def __post_init__(self) -> None:
        """Refuse what damage made of it: such a line counts as unreadable."""
        counted = sum(count for count in self.bins if count > 0)
        if counted != self.n or sum(max(1, -count) for count in self.bins) > _MOST_BINS:
            raise ValueError("no histogram")


class Window(msgspec.Struct, frozen=True, tag_field="record", tag="window"):
    """All frames of some seconds, counted. Windows are numbered from 0, so a hole is what was lost.

    warmup: all of its frames are, or none. skipped: frames of the source that came too late to be answered. unsure:
    frames without an answer. stages: name -> histogram, for those that were known. idle: frames that were not
    answered because nothing moved; they are neither in `frames` nor in `skipped`.
    """

    number: int
    start_ns: int
    end_ns: int
    warmup: bool
    frames: int
    skipped: int
    unsure: int
    stages: Dict[str, StageHistogram]
    idle: int = 0


class Gap(msgspec.Struct, frozen=True, tag_field="record", tag="gap"):
    """No frames came: the camera was away."""

    start_ns: int
    end_ns: int
    reason: str


class Footer(msgspec.Struct, frozen=True, tag_field="record", tag="footer"):
    """The last line of a run that ended in order. ended: "source", "frames", "signal" or "error".

    lost_records: lines that a full or broken disk did not take.
    """

    end_ns: int
    ended: str
    frames: int
    lost_records: int


Record = Union[Header, FrameRecord, SlowFrame, Window, Health, Gap, Footer]


def new_header(**facts: Any) -> Header:
    """A header for a run that starts now; `facts` are the other fields of Header."""
    import time

    return Header(
        schema=2,
        run_id=os.urandom(16).hex(),
        start_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        start_ns=time.monotonic_ns(),
        **facts,
    )
