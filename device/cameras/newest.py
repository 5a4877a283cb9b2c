"""The newest frame of a live source: a thread drains it, the reader takes what is newest."""

from __future__ import annotations

import logging
import threading
import time
from typing import Callable, Iterator, Protocol

from device.errors import CameraError
from device.frame import Frame

log = logging.getLogger(__name__)

_CLOSE_S = 1.0


class Source(Protocol):
    """What is drained. Opened by its constructor, and used by one thread only."""

    description: str
    """What was opened, for the log and for people."""

    def read(self, stopped: Callable[[], bool]) -> Frame | None:
        """Wait for the next frame. None at the end, or soon after `stopped()`. Raises CameraError."""

    def close(self) -> None:
        """Give the device back."""


class NewestFrame:
    """A live camera: see `device.camera.Camera`.

    Opening, reading and closing happen in a thread of its own. So the device is never kept waiting, a
    reader that is late gets the newest frame, and whatever hangs in a driver hangs there: `close()` may be
    called from any thread or signal handler, and takes a second at most.
    """

    frame_count = 0

    def __init__(self, name: str, open_source: Callable[[], Source], *, open_s: float = 15.0, stall_s: float = 5.0):
        """Begin to open it; what is wrong is told by `wait_until_open`, or when frames are asked for.

        name: the camera's URI, for messages. open_s: seconds until the first frame; stall_s: between frames.
        """
        self.description = name
        self._name = name
        self._open_s, self._stall_s = open_s, stall_s
        # Its lock is reentrant: a signal handler may close while the reader holds it.
        self._changed = threading.Condition()
        self._ended = self._closed = False
        self._newest: Frame | None = None
        self._error: Exception | None = None
        self._close_until = 0.0
        self._thread = threading.Thread(target=self._drain, args=(open_source,), name=f"drain {name}", daemon=True)
        self._thread.start()

    def wait_until_open(self) -> None:
        """Return once its first frame is there and `description` says what it is. Raises CameraError, closed then."""
        try:
            self._wait_for(lambda: self._newest is not None, self._open_s)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> NewestFrame:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        limit_s = self._open_s
        while True:
            with self._changed:
                self._wait_for(lambda: self._newest is not None, limit_s)
                if self._closed or self._newest is None:
                    return
                frame, self._newest = self._newest, None
            yield frame
            limit_s = self._stall_s

    def close(self) -> None:
        with self._changed:
            if not self._closed:
                self._closed = True
                self._close_until = time.monotonic() + _CLOSE_S
                self._changed.notify_all()
        # A device that does not let go in time is left to the thread, which ends with the process.
        self._thread.join(max(0.0, self._close_until - time.monotonic()))

    def _wait_for(self, ready: Callable[[], bool], limit_s: float) -> None:
        """Wait until `ready()`, the end or `close()`. Raises the thread's error, or CameraError after limit_s."""
        with self._changed:
            happened = self._changed.wait_for(lambda: ready() or self._ended or self._closed, limit_s)
            if ready() or self._closed:
                return
            if self._error is not None:
                raise self._error
            if not happened:
                raise CameraError(
                    f"{self._name}: nothing came from the camera for {limit_s:g} s, and its driver does not answer; "
                    "unplug it and plug it in again, or restart the board"
                )

    def _drain(self, open_source: Callable[[], Source]) -> None:
        source: Source | None = None
        try:
            source = open_source()
            self.description = source.description
            while not self._closed:
                frame = source.read(lambda: self._closed)
                if frame is None:
                    break
                with self._changed:
                    self._newest = frame
                    self._changed.notify_all()
        except Exception as error:  # Raised again where it is seen: in the reader.
            self._error = error
        finally:
            if source is not None:
                self._release(source)
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _release(self, source: Source) -> None:
        try:
            source.close()
        except Exception as error:  # A camera that was pulled out may not even close in order.
            log.warning("%s: did not close in order: %s", self._name, error)
