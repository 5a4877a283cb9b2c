"""How the board is: temperature, clock, throttling, load, memory, disk, power.

Read from the kernel's files, and on a Raspberry Pi from `vcgencmd`. What a board does not tell is None.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from pathlib import Path
from typing import Callable, Iterator, Optional, Sequence

import msgspec

_HELD_BACK_BY = {1: "under-voltage", 2: "clock capped", 4: "throttled", 8: "soft temperature limit"}
"""Bits of `throttled_bits` that are true now; 16 places higher they mean "since the board started"."""

_VCGENCMD_TIMEOUT_S = 2.0


class Health(msgspec.Struct, frozen=True, tag_field="record", tag="health"):
    """One reading; None is unknown.

    at_ns: monotonic time of the reading. temperature_c: of the processor, degrees Celsius. clock_hz: of the fastest
    core, now. throttled_bits: as `vcgencmd get_throttled` gives them. load_1m: running processes, averaged over a
    minute. rss_bytes: resident memory of this process. free_disk_bytes: where the log is. watts: drawn by the board.
    """

    at_ns: int
    temperature_c: Optional[float] = None  # noqa: UP045 - msgspec evaluates it, on Python 3.8 too
    clock_hz: Optional[int] = None  # noqa: UP045
    throttled_bits: Optional[int] = None  # noqa: UP045
    load_1m: Optional[float] = None  # noqa: UP045
    rss_bytes: Optional[int] = None  # noqa: UP045
    free_disk_bytes: Optional[int] = None  # noqa: UP045
    watts: Optional[float] = None  # noqa: UP045


class HealthReader:
    """Reads the board's state; takes milliseconds, so it is nothing for the loop.

    root: where /sys and /proc are. disk: a folder on the disk whose free space counts.
    """

    def __init__(
        self, root: Path = Path("/"), disk: Path = Path(), *, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._root = root
        self._disk = disk
        self._clock = clock

    def read(self) -> Health:
        """One reading. Raises nothing: what cannot be read is None."""
        load = _text(self._root / "proc/loadavg").split()
        pages = _text(self._root / "proc/self/statm").split()
        return Health(
            at_ns=self._clock(),
            temperature_c=self._temperature_c(),
            clock_hz=self._clock_hz(),
            throttled_bits=self._throttled_bits(),
            load_1m=_number(load[0]) if load else None,
            rss_bytes=int(pages[1]) * os.sysconf("SC_PAGE_SIZE") if len(pages) > 1 and pages[1].isdigit() else None,
            free_disk_bytes=free_bytes(self._disk),
            watts=self._watts(),
        )

    def _temperature_c(self) -> float | None:
        """Of the zone that is named after the processor, else of the first."""
        zones = {}
        for zone in sorted((self._root / "sys/class/thermal").glob("thermal_zone*")):
            milli_c = _number(_text(zone / "temp"))
            if milli_c is not None:
                zones[_text(zone / "type").lower()] = milli_c / 1000
        named = [value for kind, value in zones.items() if "cpu" in kind or "pkg" in kind]
        return next(iter(named or zones.values()), None)

    def _clock_hz(self) -> int | None:
        files = (self._root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
        clocks = [khz for khz in (_number(_text(file)) for file in files) if khz]
        return round(max(clocks) * 1000) if clocks else None

    def _throttled_bits(self) -> int | None:
        text = _text(self._root / "sys/devices/platform/soc/soc:firmware/get_throttled")
        text = text or _vcgencmd("get_throttled").partition("=")[2]
        try:
            return int(text, 16)
        except ValueError:
            return None

    def _watts(self) -> float | None:
        """Of a Jetson's power monitor, else the sum over a Raspberry Pi 5's rails."""
        for name, milliwatts in self._ina3221_rails():
            # The rail that feeds all the others: POM_5V_IN on a Nano, VDD_IN on later boards.
            if name.endswith("_IN"):
                return milliwatts / 1000
        return _pmic_watts(_vcgencmd("pmic_read_adc"))

    def _ina3221_rails(self) -> Iterator[tuple[str, float]]:
        """(name, mW): under iio in JetPack 4, under hwmon later."""
        drivers = self._root / "sys/bus/i2c/drivers"
        for label in sorted(drivers.glob("ina3221x/*/iio:device*/rail_name_*")):
            milliwatts = _number(_text(label.with_name(f"in_power{label.name[-1]}_input")))
            if milliwatts is not None:
                yield _text(label), milliwatts
        for label in sorted(drivers.glob("ina3221/*/hwmon/hwmon*/in*_label")):
            channel = label.name[2:-6]
            millivolts = _number(_text(label.with_name(f"in{channel}_input")))
            milliamperes = _number(_text(label.with_name(f"curr{channel}_input")))
            if millivolts is not None and milliamperes is not None:
                yield _text(label), millivolts * milliamperes / 1000


class HealthMonitor:
    """Reads every `every_s` seconds in a thread of its own; calling it gives the newest reading, or None yet.

    observer: is told each reading, in that thread. Use it in `with`; `close()` twice is fine.
    """

    def __init__(self, reader: HealthReader, every_s: float, observer: Callable[[Health], object]) -> None:
        self._reader = reader
        self._every_s = every_s
        self._observer = observer
        self._latest: Health | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._thread.start()

    def __enter__(self) -> HealthMonitor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __call__(self) -> Health | None:
        return self._latest

    def close(self) -> None:
        """Stop reading; waits for no reading that hangs."""
        self._stop.set()
        self._thread.join(timeout=0.5)

    def _run(self) -> None:
        while True:
            self._latest = self._reader.read()
            self._observer(self._latest)
            if self._stop.wait(self._every_s):
                return


def throttling(reading: Health) -> list[str]:
    """What holds the board back now, in words; nothing when it is free or does not tell."""
    return _names(reading.throttled_bits or 0)


def throttling_between(readings: Sequence[Health]) -> list[str]:
    """What held the board back at a reading or between two: a board remembers since its start, so the news count."""
    known = [reading.throttled_bits for reading in readings if reading.throttled_bits is not None]
    if not known:
        return []
    seen = (known[-1] & ~known[0]) >> 16
    for bits in known:
        seen |= bits
    return _names(seen)


def _names(bits: int) -> list[str]:
    return [name for bit, name in _HELD_BACK_BY.items() if bits & bit]


def free_bytes(folder: Path) -> int | None:
    """What an ordinary user may still write on the disk of `folder`."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def _text(file: Path) -> str:
    """The file's one value, or "" when there is none."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return file.read_text().strip(" \t\n\0")
    return ""


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _vcgencmd(question: str) -> str:
    """What the Raspberry Pi's firmware answers, or "" elsewhere and where the user may not ask (group `video`)."""
    import shutil
    import subprocess

    program = shutil.which("vcgencmd")
    if program is None:
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError, UnicodeDecodeError):
        done = subprocess.run(
            [program, question], capture_output=True, text=True, timeout=_VCGENCMD_TIMEOUT_S, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""
    return ""


def _pmic_watts(answer: str) -> float | None:
    """Volt times ampere, summed over the rails that have both: what leaves the regulator, not what enters the board."""
    found = re.findall(r"(\w+)_([AV]) \w+\(\d+\)=([0-9.]+)[AV]", answer)
    amperes = {rail: float(value) for rail, kind, value in found if kind == "A"}
    volts = {rail: float(value) for rail, kind, value in found if kind == "V"}
    both = amperes.keys() & volts.keys()
    return round(sum(amperes[rail] * volts[rail] for rail in both), 3) if both else None
