"""A live camera that comes back: it went away, it is asked for again and again, and the frames go on."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Callable, Iterator

from device.camera import Camera
from device.errors import CameraError
from device.frame import Frame

log = logging.getLogger(__name__)

_SLICE_S = 0.05


def wait_unless(seconds: float, stopped: Callable[[], bool]) -> None:
    """Sleep, but only until `stopped()`."""
    until = time.monotonic() + seconds
    while not stopped() and time.monotonic() < until:
        time.sleep(_SLICE_S)


class Reconnecting:
    """A `device.camera.Camera` whose frames end only with `close()`, or with the source's own end.

    What went wrong is said once a gap, and that it is over. Numbers go on where they stopped: no frame has
    the number of another, and what the gap cost is for `on_gap`, not counted as frames skipped.
    """

    frame_count = 0

    def __init__(
        self,
        camera: Camera,
        reopen: Callable[[], Camera],
        *,
        on_gap: Callable[[int, int, str], object] | None = None,
        first_wait_s: float = 0.5,
        longest_wait_s: float = 10.0,
        wait: Callable[[float, Callable[[], bool]], object] = wait_unless,
    ) -> None:
        """Begin with `camera`; `reopen` gives another at once, whose errors may come with its first frame.

        on_gap: called after each gap, the one that the end cuts off included, with the monotonic ns of the last
        frame before it and of the first after it, and the reason. Waits double from first_wait_s to longest_wait_s;
        wait: takes seconds, and what tells that it need wait no longer.
        """
        self.description = camera.description
        self._camera = camera
        self._reopen = reopen
        self._on_gap = on_gap
        self._first_wait_s, self._longest_wait_s = first_wait_s, longest_wait_s
        self._wait = wait
        self._closed = False

    def __enter__(self) -> Reconnecting:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        last_ns = time.monotonic_ns()
        next_sequence = 0
        reason: str | None = None  # of the gap we are in
        wait_s = self._first_wait_s
        while not self._closed:
            offset = next_sequence
            try:
                for frame in self._camera:
                    now_ns = frame.dequeued_ns or frame.captured_ns
                    if reason is not None:
                        log.warning("%s: back after %.1f s", self.description, (now_ns - last_ns) / 1e9)
                        self._tell(last_ns, now_ns, reason)
                        reason, wait_s = None, self._first_wait_s
                    last_ns, next_sequence = now_ns, offset + frame.sequence + 1
                    yield replace(frame, sequence=offset + frame.sequence)
                break
            except CameraError as error:
                if reason is None:
                    reason = str(error)
                    log.warning("%s; trying again until it is back", reason)
            self._camera.close()
            self._wait(wait_s, lambda: self._closed)
            wait_s = min(2 * wait_s, self._longest_wait_s)
            if not self._closed:
                self._camera = self._reopen()
        if reason is not None:
            self._tell(last_ns, time.monotonic_ns(), reason)

    def close(self) -> None:
        self._closed = True
        self._camera.close()

    def _tell(self, start_ns: int, end_ns: int, reason: str) -> None:
        if self._on_gap is not None:
            self._on_gap(start_ns, end_ns, reason)
