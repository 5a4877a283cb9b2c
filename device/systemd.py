"""What a systemd service tells its manager, sd_notify(3): a datagram, so no library is needed (PyPI's is of 2017)."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Callable, Mapping

from device.frame import Result

_INTERVAL_NS = 1_000_000_000


class ServiceNotifier:
    """Sink that says READY with the first answer, and from then on feeds the watchdog, once a second at most.

    Fed by answers and not by a timer: a camera, a model or a sink that hangs starves it, and systemd restarts
    the service. Outside a service it does nothing.
    """

    def __init__(
        self, environment: Mapping[str, str] = os.environ, *, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # "@" stands for the zero byte of an abstract socket's name.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._clock = clock
        self._told_ns: int | None = None

    def __call__(self, result: Result) -> None:
        if not self._address:
            return
        now_ns = self._clock()
        if self._told_ns is None or now_ns - self._told_ns >= _INTERVAL_NS:
            self._send("READY=1\nWATCHDOG=1" if self._told_ns is None else "WATCHDOG=1")
            self._told_ns = now_ns

    def _send(self, text: str) -> None:
        import socket

        # A manager that does not listen is no reason to stop answering.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_manager:
            to_manager.setblocking(False)
            to_manager.sendto(text.encode(), self._address)
