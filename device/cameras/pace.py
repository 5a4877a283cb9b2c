"""Recorded frames at the rate of a live camera: late readers miss frames, as they would live."""

from __future__ import annotations

import time
from typing import Callable

_SLICE_NS = 250_000_000


class Pace:
    """Tells a recorded source which of its frames is the newest now.

    rate_hz: frames a second; None gives every frame as soon as it is asked for.
    clock: monotonic nanoseconds. sleep: takes seconds.
    """

    def __init__(
        self,
        rate_hz: float | None,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._period_ns = None if rate_hz is None else 1e9 / rate_hz
        self._clock = clock
        self._sleep = sleep
        self._start_ns: int | None = None
        self._stopped = False

    def stop(self) -> None:
        """Let whoever waits go on at once; callable from any thread or signal handler."""
        self._stopped = True

    def wait(self, index: int) -> tuple[int, int]:
        """Wait until frame `index` is there. Returns (the newest frame's index, when it came in monotonic ns)."""
        now = self._clock()
        if self._period_ns is None:
            return index, now
        if self._start_ns is None:
            self._start_ns = now - round(index * self._period_ns)
        due_ns = self._start_ns + round(index * self._period_ns)
        if due_ns > now:
            while due_ns > now and not self._stopped:
                self._sleep(min(due_ns - now, _SLICE_NS) / 1e9)
                now = self._clock()
            return index, due_ns
        newest = max(index, int((now - self._start_ns) / self._period_ns))
        return newest, self._start_ns + round(newest * self._period_ns)
