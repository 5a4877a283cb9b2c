"""The latency log: one JSON Lines file a run. A header, a record a frame, a footer.

The file is readable up to where it was cut: each line stands alone, and blocks of whole lines are
written every few seconds so that an SD card is not worn by one small write a frame.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable, Dict, List, Literal, Optional, Union

import msgspec

from device.errors import LogError
from device.frame import Result

log = logging.getLogger(__name__)


class Header(msgspec.Struct, frozen=True, tag_field="record", tag="header"):
    """The first line: what ran, on what.

    start_utc: wall clock at the start, for people; start_ns: the monotonic clock at that moment, which
    all other times refer to. versions: program and library -> version.
    """

    schema: Literal[1]
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


class FrameRecord(msgspec.Struct, frozen=True, tag_field="record", tag="frame"):
    """One answered frame. Times are monotonic nanoseconds; see `device.frame.Timings`."""

    sequence: int
    captured_ns: int
    wait_ns: int
    preprocess_ns: int
    inference_ns: int
    total_ns: int
    skipped: int
    label: str
    score: float
    decision: str
    warmup: bool


class Footer(msgspec.Struct, frozen=True, tag_field="record", tag="footer"):
    """The last line of a run that ended in order. ended: "source", "frames", "signal" or "error"."""

    end_ns: int
    ended: str
    frames: int
    lost_records: int


Record = Union[Header, FrameRecord, Footer]

_LOG_SUFFIX = ".jsonl"


class LatencyLog:
    """Sink that appends to a file of its own in `directory`. Use it in `with`; `close()` twice is fine.

    flush_s: seconds between writes. When the disk refuses, records are dropped and counted, and the
    loop goes on. Opening raises LogError.
    """

    def __init__(
        self,
        directory: Path,
        header: Header,
        *,
        flush_s: float = 5.0,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        stamp = header.start_utc[:19].replace(":", "").replace("-", "")
        self.path = directory / f"{stamp}-{header.run_id[:8]}{_LOG_SUFFIX}"
        self.ended = "error"  # Until whoever ends the run says better.
        self._clock = clock
        self._flush_ns = round(flush_s * 1e9)
        self._encoder = msgspec.json.Encoder()
        self.frames = 0
        self._lost = self._pending = 0
        self._block = bytearray()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "xb", buffering=0)  # noqa: SIM115 - closed in close()
            self._file.write(self._encoder.encode(header) + b"\n")
        except OSError as error:
            raise LogError(f"log.directory {directory}: {error.strerror}; name a writable folder with --log") from None
        self._flushed_ns = clock()

    def __enter__(self) -> LatencyLog:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __call__(self, result: Result) -> None:
        timings = result.timings
        record = FrameRecord(
            sequence=result.frame.sequence,
            captured_ns=result.frame.captured_ns,
            wait_ns=timings.wait_ns,
            preprocess_ns=timings.preprocess_ns,
            inference_ns=timings.inference_ns,
            total_ns=timings.total_ns,
            skipped=result.skipped,
            label=result.prediction.label,
            score=round(result.prediction.score, 4),
            decision=result.decision,
            warmup=result.warmup,
        )
        self.frames += 1
        self._append(record)
        if self._clock() - self._flushed_ns >= self._flush_ns:
            self._flush()

    def close(self) -> None:
        """Write what is pending and the footer."""
        if self._file.closed:
            return
        self._flush()
        self._append(Footer(self._clock(), self.ended, self.frames, self._lost))
        self._flush()
        try:
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            log.warning("latency log %s: %s", self.path, error.strerror)

    def _append(self, record: Record) -> None:
        self._block += self._encoder.encode(record) + b"\n"
        self._pending += 1

    def _flush(self) -> None:
        self._flushed_ns = self._clock()
        try:
            while self._block:
                written = self._file.write(self._block)
                del self._block[:written]
        except OSError as error:
            if not self._lost:
                log.warning("latency log %s: %s; going on without it", self.path, error.strerror)
            self._lost += self._pending
            self._block.clear()
        self._pending = 0


class ReadLog(msgspec.Struct, frozen=True):
    """A log as read back. unreadable_lines: lines that are no records; footer is None after a cut."""

    path: str
    header: Header
    frames: List[FrameRecord]
    footer: Optional[Footer]  # noqa: UP045 - msgspec evaluates it, on Python 3.8 too
    unreadable_lines: int


def new_header(**facts: object) -> Header:
    """A header for a run that starts now; `facts` are the other fields of Header."""
    return Header(
        schema=1,
        run_id=uuid.uuid4().hex,
        start_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        start_ns=time.monotonic_ns(),
        **facts,  # type: ignore[arg-type]
    )


def read_log(path: Path) -> ReadLog:
    """Read a log, whatever was cut or damaged after its header. Raises LogError."""
    decoder = msgspec.json.Decoder(Record)
    header: Header | None = None
    footer: Footer | None = None
    frames: List[FrameRecord] = []
    unreadable = 0
    try:
        with open(path, "rb") as lines:
            for line in lines:
                try:
                    record = decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    unreadable += 1
                    continue
                if isinstance(record, Header):
                    header = header or record
                elif isinstance(record, FrameRecord):
                    frames.append(record)
                else:
                    footer = record
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}; name a log file, such as logs/*{_LOG_SUFFIX}") from None
    if header is None:
        raise LogError(
            f"{path}: no latency log: its header is missing ({unreadable} unreadable lines); "
            f"name a file that `python -m device run --log` wrote"
        )
    return ReadLog(str(path), header, frames, footer, unreadable)
