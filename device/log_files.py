"""The files of one run's latency log: parts of bounded size, old ones removed, some disk left to others.

Nothing here raises after the start: a disk that is full, read-only or gone costs lines, which are counted.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from pathlib import Path
from typing import IO, Callable, Sequence

from device.errors import LogError
from device.health import free_bytes
from device.records import SUFFIX, Header

log = logging.getLogger(__name__)

_OURS = re.compile(r"(\d{8}T\d{6}-[0-9a-f]{8})(?:\.(\d+))?" + re.escape(SUFFIX))

_DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
"""What a disk may do that is no mistake in the settings: the run starts all the same, and tries again."""


def stem_of(header: Header) -> str:
    """What the names of a run's files begin with: when it started, and a part of its id."""
    stamp = header.start_utc[:19].replace(":", "").replace("-", "")
    return f"{stamp}-{header.run_id[:8]}"


def parts_of(path: Path) -> list[tuple[int, Path]]:
    """(number, file) of all parts of the run that `path` is a part of, in order."""
    match = _OURS.fullmatch(path.name)
    if not match:
        return [(0, path)]
    found = []
    for other in path.parent.iterdir() if path.parent.is_dir() else ():
        other_match = _OURS.fullmatch(other.name)
        if other_match and other_match[1] == match[1]:
            found.append((int(other_match[2] or 0), other))
    return sorted(found) or [(0, path)]


class LogFiles:
    """Appends lines to the parts STEM.jsonl, STEM.1.jsonl, ... in `directory`. One thread at a time.

    header: gives the first line of part n. part_bytes: size from which the next part is begun. total_bytes: of all
    logs in `directory`, beyond which the oldest parts are removed. keep_free_bytes: nothing is written while less
    of the disk is free. Opening raises LogError where the settings are wrong.
    """

    def __init__(
        self,
        directory: Path,
        stem: str,
        header: Callable[[int], bytes],
        *,
        part_bytes: int,
        total_bytes: int,
        keep_free_bytes: int,
    ) -> None:
        self.path = directory / f"{stem}{SUFFIX}"
        self.lost = 0
        self._stem = stem
        self._header = header
        self._part_bytes = part_bytes
        self._total_bytes = total_bytes
        self._keep_free_bytes = keep_free_bytes
        self._file: IO[bytes] | None = None
        self._next_part = 0
        self._size = 0
        self._torn = self._refused = False
        try:
            self._begin_part()
        except OSError as error:
            if error.errno not in _DISK_TROUBLE:
                raise LogError(
                    f"log.directory {directory}: {error.strerror}; name a writable folder with --log"
                ) from None
            self._warn(error)

    def write(self, lines: Sequence[bytes]) -> None:
        """Append whole lines in one go; lines that the disk does not take are counted in `lost`."""
        block: list[bytes] = []
        written = size = 0
        try:
            for line in lines:
                if self._file is None or self._size + size + len(line) > self._part_bytes:
                    written += self._append(block)
                    block, size = [], 0
                    self._begin_part()
                block.append(line)
                size += len(line)
            written += self._append(block)
        except OSError as error:
            self.lost += len(lines) - written
            self._warn(error)
            return
        if self._refused:
            log.info("latency log %s: written again; %d records were lost", self.path, self.lost)
            self._refused = False

    def close(self) -> None:
        """Have the disk keep what was written."""
        if self._file is not None:
            self._keep(self._file)
            self._file = None

    def _begin_part(self) -> None:
        """Raises OSError; the part before, if any, stays in use then."""
        number = self._next_part
        self.path.parent.mkdir(parents=True, exist_ok=True)
        path = self.path if number == 0 else self.path.with_name(f"{self._stem}.{number}{SUFFIX}")
        before, self._file = self._file, open(path, "wb", buffering=0)  # noqa: SIM115 - closed in close()
        size, self._size, self._torn = self._size, 0, False
        try:
            self._append([self._header(number)])
        except OSError:
            self._file.close()
            path.unlink()
            self._file, self._size = before, size
            raise
        self._next_part = number + 1
        if before:
            self._keep(before)
        self._remove_oldest(but=path)

    def _append(self, lines: Sequence[bytes]) -> int:
        """How many lines were written: all, or an OSError."""
        if self._file is None or not lines:
            return 0
        free = free_bytes(self.path.parent)
        if free is not None and free < self._keep_free_bytes:
            raise OSError(errno.ENOSPC, f"under {self._keep_free_bytes / 1e6:.0f} MB are free (log.keep_free_mb)")
        # After a line that may be cut, the next begins on a line of its own.
        rest = memoryview(b"".join([b"\n", *lines] if self._torn else lines))
        self._torn = True
        while rest:
            taken = self._file.write(rest)
            self._size += taken
            rest = rest[taken:]
        self._torn = False
        return len(lines)

    def _remove_oldest(self, but: Path) -> None:
        """By name, which begins with the time of the run's start. Other people's files are left alone."""
        parts = []
        for path in self.path.parent.iterdir():
            match = _OURS.fullmatch(path.name)
            if match and path != but:
                parts.append((match[1], int(match[2] or 0), path, path.stat().st_size))
        excess = sum(size for *_, size in parts) + self._part_bytes - self._total_bytes
        for _, _, path, size in sorted(parts):
            if excess <= 0:
                return
            path.unlink()
            excess -= size

    def _keep(self, file: IO[bytes]) -> None:
        # Only when a part is full: each fsync writes blocks of an SD card that the kernel would have saved.
        try:
            os.fsync(file.fileno())
            file.close()
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        if not self._refused:
            log.warning("latency log %s: %s; going on without it", self.path, error.strerror)
            self._refused = True
