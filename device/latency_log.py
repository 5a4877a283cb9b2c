"""The sink that keeps the latency log: every frame at first, then the slowest; all of them counted in windows.

The loop only counts and appends to memory. A thread writes the block every few seconds, so neither a slow SD card
nor a full one holds up a frame, and an outage of the camera leaves nothing unwritten.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections import defaultdict, deque
from pathlib import Path
from typing import Callable, Deque, Dict

import msgspec

from device.config import LogConfig
from device.frame import Result
from device.health import Health
from device.histograms import Histogram
from device.labels import UNSURE
from device.log_files import LogFiles, stem_of
from device.records import STAGES, Footer, FrameRecord, Gap, Header, Record, SlowFrame, Window

log = logging.getLogger(__name__)

_MOST_WAITING_LINES = 20_000
"""Lines kept in memory, some 6 MB, while the disk hangs: ten minutes of every frame, or a day of windows."""

_CLOSE_TIMEOUT_S = 1.5
"""A disk that hangs must not keep the program from ending."""

_STAGE_FIELDS = tuple((stage, f"{stage}_ns") for stage in STAGES)


class LatencyLog:
    """Sink that logs into files of its own in `directory`. Use it in `with`; `close()` twice is fine.

    When the disk refuses, lines are dropped and counted, and the loop goes on. Opening raises LogError.
    """

    def __init__(
        self,
        directory: Path,
        header: Header,
        settings: LogConfig = LogConfig(),  # noqa: B008 - frozen
        *,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.ended = "error"  # Until whoever ends the run says better.
        self.frames = 0
        self._settings = settings
        self._clock = clock
        self._encode = msgspec.json.Encoder().encode
        self._lines: Deque[bytes] = deque()
        self._dropped = 0
        self._files = LogFiles(
            directory,
            stem_of(header),
            lambda part: self._line(msgspec.structs.replace(header, part=part)),
            part_bytes=round(settings.part_mb * 1e6),
            total_bytes=round(settings.total_mb * 1e6),
            keep_free_bytes=round(settings.keep_free_mb * 1e6),
        )
        self.path = self._files.path
        self._raw_until_ns = clock() + round(settings.raw_s * 1e9)
        self._window = _OpenWindow(0, clock(), warmup=True)
        self._held: FrameRecord | None = None
        self._after_gap = False
        self._wake, self._stop = threading.Event(), False
        self._writer = threading.Thread(target=self._write_blocks, name="latency log", daemon=True)
        self._writer.start()

    def __enter__(self) -> LatencyLog:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __call__(self, result: Result) -> None:
        self.frames += 1
        timings = result.timings
        self._count_held(timings.sinks_before_ns)
        now_ns = self._clock()
        window = self._window
        if window.warmup != result.warmup or now_ns - window.start_ns >= self._settings.window_s * 1e9:
            window = self._next_window(now_ns, now_ns, result.warmup)
        # What the sinks take of this frame is known with the next; it is held until then.
        self._held = FrameRecord(
            window=window.number,
            sequence=result.frame.sequence,
            captured_ns=result.frame.captured_ns,
            wait_ns=None if self._after_gap else timings.wait_ns,
            dequeue_ns=timings.dequeue_ns,
            preprocess_ns=timings.preprocess_ns,
            inference_ns=timings.inference_ns,
            decision_ns=timings.decision_ns,
            sinks_ns=None,
            total_ns=timings.total_ns,
            age_ns=timings.age_ns,
            age_from=timings.age_from,
            skipped=result.skipped,
            label=result.prediction.label,
            score=round(result.prediction.score, 4),
            decision=result.decision,
            warmup=result.warmup,
        )
        self._after_gap = False

    def idle(self, count: int) -> None:
        """Count frames that were not answered since nothing moved."""
        self._window.idle += count

    def gap(self, start_ns: int, end_ns: int, reason: str) -> None:
        """Log that no frames came between these monotonic times."""
        self._count_held(None)
        self._next_window(start_ns, end_ns, self._window.warmup)
        self._append(Gap(start_ns, end_ns, reason))
        self._after_gap = True

    def health(self, reading: Health) -> None:
        """Log how the board is; any thread may."""
        self._append(reading)

    def close(self) -> None:
        """Write what is pending and the footer; waits for no disk that hangs."""
        if self._stop:
            return
        self._count_held(None)
        now_ns = self._clock()
        self._next_window(now_ns, now_ns, warmup=False)
        self._stop = True
        self._wake.set()
        self._writer.join(_CLOSE_TIMEOUT_S)
        if self._writer.is_alive():
            log.warning("latency log %s: the disk does not answer; its last seconds are lost", self.path)

    def _count_held(self, sinks_ns: int | None) -> None:
        if self._held is None:
            return
        record, self._held = self._held, None
        msgspec.structs.force_setattr(record, "sinks_ns", sinks_ns)  # Nobody else has it yet.
        everything = self._clock() < self._raw_until_ns
        self._window.add(record, 0 if everything else self._settings.slowest)
        if everything:
            self._append(record)

    def _next_window(self, end_ns: int, start_ns: int, warmup: bool) -> _OpenWindow:
        for record in self._window.close(end_ns):
            self._append(record)
        number = self._window.number + (0 if self._window.empty else 1)
        self._window = _OpenWindow(number, start_ns, warmup=warmup)
        return self._window

    def _append(self, record: Record) -> None:
        if len(self._lines) >= _MOST_WAITING_LINES:
            self._dropped += 1
            return
        self._lines.append(self._line(record))
        if len(self._lines) == _MOST_WAITING_LINES // 2:
            self._wake.set()

    def _line(self, record: Record) -> bytes:
        return self._encode(record) + b"\n"

    def _write_blocks(self) -> None:
        """The thread: a block every flush_s seconds, and the footer at the end."""
        while not self._stop:
            self._wake.wait(self._settings.flush_s)
            self._wake.clear()
            self._write_waiting()
        self._write_waiting()
        footer = Footer(self._clock(), self.ended, self.frames, self._files.lost + self._dropped)
        self._files.write([self._line(footer)])
        self._files.close()

    def _write_waiting(self) -> None:
        # The loop appends meanwhile: take only as many as are there now.
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if lines:
            self._files.write(lines)


class _OpenWindow:
    """The window that is being counted."""

    def __init__(self, number: int, start_ns: int, *, warmup: bool) -> None:
        self.number = number
        self.start_ns = start_ns
        self.warmup = warmup
        self.frames = self.idle = self._skipped = self._unsure = 0
        self._stages: Dict[str, Histogram] = defaultdict(Histogram)
        self._slowest: list[tuple[int, int, FrameRecord]] = []

    @property
    def empty(self) -> bool:
        return self.frames == self.idle == 0

    def add(self, record: FrameRecord, keep_slowest: int) -> None:
        self.frames += 1
        self._skipped += record.skipped
        self._unsure += record.decision == UNSURE
        for stage, field in _STAGE_FIELDS:
            value_ns = getattr(record, field)
            if value_ns is not None:
                self._stages[stage].add(value_ns)
        if record.age_ns is not None:
            self._stages[f"age from {record.age_from}"].add(record.age_ns)
        if keep_slowest:
            entry = (record.total_ns, self.frames, record)
            if len(self._slowest) < keep_slowest:
                heapq.heappush(self._slowest, entry)
            elif entry > self._slowest[0]:
                heapq.heapreplace(self._slowest, entry)

    def close(self, end_ns: int) -> list[Record]:
        """The window's record and its slowest frames in order; nothing when it is empty."""
        if self.empty:
            return []
        slowest = (SlowFrame(**msgspec.structs.asdict(record)) for _, _, record in sorted(self._slowest, key=_order))
        stages = {stage: histogram.to_record() for stage, histogram in self._stages.items()}
        window = Window(
            self.number, self.start_ns, end_ns, self.warmup, self.frames, self._skipped, self._unsure, stages, self.idle
        )
        return [*slowest, window]


def _order(entry: tuple[int, int, FrameRecord]) -> int:
    return entry[1]
