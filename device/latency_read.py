"""Latency logs, read back: what can be read is there whatever was cut or damaged, and what is missing is said."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Set

import msgspec

from device.errors import LogError
from device.health import Health
from device.histograms import Histogram, merged
from device.labels import UNSURE
from device.log_files import parts_of
from device.records import AGES, STAGES, SUFFIX, Footer, FrameRecord, Gap, Header, Record, SlowFrame, Window

LEAST_BLOCKS = 10
"""Under so many pieces of time nothing is said of what changes between them."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """One run, of all its parts.

    path: the first part. frames, slow: frames that were recorded each, in order. windows: all frames, counted;
    with those of the warm-up. footer: None after a cut. missing: what is not there, in words; empty when all is.
    """

    path: Path
    header: Header
    frames: List[FrameRecord]
    slow: List[SlowFrame]
    windows: List[Window]
    health: List[Health]
    gaps: List[Gap]
    footer: Optional[Footer]  # noqa: UP045 - as its neighbours
    missing: List[str]

    def histogram(self, stage: str, windows: Sequence[Window] | None = None) -> Histogram:
        """Of one stage over `windows`, by default all that are not of the warm-up."""
        chosen = self.counted if windows is None else windows
        return merged(Histogram.from_record(window.stages[stage]) for window in chosen if stage in window.stages)

    @cached_property
    def counted(self) -> List[Window]:
        """The windows that are not of the warm-up."""
        return [window for window in self.windows if not window.warmup]

    @property
    def stages(self) -> List[str]:
        """The stages that this run knows, in their order."""
        known = {stage for window in self.windows for stage in window.stages}
        return [stage for stage in (*STAGES, *AGES) if stage in known]

    @cached_property
    def blocks(self) -> List[Window]:
        """The counted frames in pieces of time: the windows, or of a run of few windows the seconds."""
        counted = self.counted
        raw = [frame for frame in self.frames if not frame.warmup]
        if len(counted) >= LEAST_BLOCKS or len(raw) < sum(window.frames for window in counted):
            return counted
        seconds: Dict[int, List[FrameRecord]] = {}
        for frame in raw:
            seconds.setdefault((frame.captured_ns - raw[0].captured_ns) // 1_000_000_000, []).append(frame)
        return [window_of(frames) for frames in seconds.values()]

    def utc(self, at_ns: int) -> datetime:
        """Wall clock, UTC, at a monotonic time of this run."""
        start = datetime.fromisoformat(self.header.start_utc)
        return start + timedelta(microseconds=(at_ns - self.header.start_ns) / 1000)


def find_runs(paths: Sequence[Path]) -> List[Run]:
    """The runs that `paths` name: any part of a run, or folders of logs. Oldest first, each once.

    Raises LogError for a path that is no log; in a folder such files are named and passed over.
    """
    runs: Dict[Path, Run] = {}
    for path in paths:
        files = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        for first in dict.fromkeys(parts_of(file)[0][1] for file in files):
            try:
                runs[first] = read_run(first)
            except LogError as error:
                if not path.is_dir():
                    raise
                log.warning("%s; passed over", error)
        if path.is_dir() and not any(first.parent == path for first in runs):
            raise LogError(f"{path}: no latency log (*{SUFFIX}) in this folder")
    return sorted(runs.values(), key=lambda run: run.header.start_utc)


def read_run(path: Path) -> Run:
    """Read all parts of the run that `path` is a part of. Raises LogError when nothing of it can be read."""
    parts = parts_of(path)
    lines = _Lines()
    for _, file in parts:
        lines.read(file)
    header = lines.header
    if header is None:
        raise LogError(
            f"{path}: no latency log: its header is missing ({lines.unreadable} unreadable lines); "
            f"name a file that `python -m device run --log` wrote"
        )
    recovered = _recovered({window.number for window in lines.windows}, lines.frames)
    windows = sorted([*lines.windows, *recovered], key=lambda window: window.number)
    missing = [*_missing_parts([number for number, _ in parts]), *_missing_windows(windows, lines.footer)]
    if lines.unreadable:
        missing.append(f"{lines.unreadable} unreadable lines")
    if lines.footer is None:
        missing.append("the end: the run was cut off, or still goes on")
    elif lines.footer.lost_records:
        missing.append(f"{lines.footer.lost_records} records that the disk did not take")
    return Run(parts[0][1], header, lines.frames, lines.slow, windows, lines.health, lines.gaps, lines.footer, missing)


@dataclass
class _Lines:
    """The records of a run's parts, by kind."""

    header: Header | None = None
    footer: Footer | None = None
    frames: List[FrameRecord] = field(default_factory=list)
    slow: List[SlowFrame] = field(default_factory=list)
    windows: List[Window] = field(default_factory=list)
    health: List[Health] = field(default_factory=list)
    gaps: List[Gap] = field(default_factory=list)
    unreadable: int = 0

    def read(self, path: Path) -> None:
        decoder = msgspec.json.Decoder(Record)
        try:
            with open(path, "rb") as lines:
                for line in lines:
                    try:
                        self._take(decoder.decode(line))
                    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                        self.unreadable += 1
        except OSError as error:
            raise LogError(f"{path}: {error.strerror}; name a log file, such as logs/*{SUFFIX}") from None

    def _take(self, record: Record) -> None:
        if isinstance(record, SlowFrame):
            self.slow.append(record)
        elif isinstance(record, FrameRecord):
            self.frames.append(record)
        elif isinstance(record, Window):
            self.windows.append(record)
        elif isinstance(record, Health):
            self.health.append(record)
        elif isinstance(record, Gap):
            self.gaps.append(record)
        elif isinstance(record, Footer):
            self.footer = record
        else:
            self.header = self.header or record


def _recovered(there: Set[int], frames: Sequence[FrameRecord]) -> List[Window]:
    """Windows that a cut took away, from the frames of theirs that were recorded one by one."""
    lost: Dict[int, List[FrameRecord]] = {}
    for frame in frames:
        if frame.window not in there:
            lost.setdefault(frame.window, []).append(frame)
    return [window_of(group) for group in lost.values()]


def window_of(frames: Sequence[FrameRecord]) -> Window:
    """Frames that were recorded one by one, counted."""
    return Window(
        number=frames[0].window,
        start_ns=frames[0].captured_ns,
        end_ns=frames[-1].captured_ns + frames[-1].total_ns,
        warmup=frames[0].warmup,
        frames=len(frames),
        skipped=sum(frame.skipped for frame in frames),
        unsure=sum(frame.decision == UNSURE for frame in frames),
        stages={stage: histogram.to_record() for stage, histogram in _histograms(frames).items()},
    )


def _histograms(frames: Sequence[FrameRecord]) -> Dict[str, Histogram]:
    """Stage -> histogram of single frames."""
    stages: Dict[str, Histogram] = defaultdict(Histogram)
    for frame in frames:
        values = {stage: getattr(frame, f"{stage}_ns") for stage in STAGES}
        values[f"age from {frame.age_from}"] = frame.age_ns
        for stage, value in values.items():
            if value is not None:
                stages[stage].add(value)
    return stages


def _missing_parts(numbers: Sequence[int]) -> Iterator[str]:
    lost = sorted(set(range(numbers[-1] + 1)) - set(numbers))
    if lost:
        yield f"part {', '.join(map(str, lost))} of its files"


def _missing_windows(windows: Sequence[Window], footer: Footer | None) -> Iterator[str]:
    numbers = {window.number for window in windows}
    lost = len(set(range(max(numbers, default=-1) + 1)) - numbers)
    if lost:
        yield f"{lost} windows between those that are there"
    if footer and not lost and footer.frames > (there := sum(window.frames for window in windows)):
        yield f"{footer.frames - there} frames of {footer.frames}"
