"""Sends the newest result to whoever looks, at most so many times a second, and drops who does not keep up."""

from __future__ import annotations

import asyncio
import time
from typing import Callable, Optional, Protocol

from device.frame import Result
from device.view.pictures import Pictures, message
from device.view.slot import Slot

_HEARTBEAT_S = 1.0
"""Without a new picture a page still gets the state so often: it shows how old the picture is."""
_HEALTH_S = 2.0


class HasTemperature(Protocol):
    """The part of a board's health that the page shows."""

    @property
    def temperature_c(self) -> float | None:
        """Of the processor, degrees Celsius; None where the board does not tell."""


Health = Callable[[], Optional[HasTemperature]]


class Viewer(Protocol):
    """One open page.

    sent_s: when it was sent something, monotonic. shown: the result that it was sent.
    """

    sent_s: float
    shown: Result | None

    @property
    def ready(self) -> bool:
        """It has drawn what it was sent."""

    def send(self, data: bytes) -> None:
        """Send one message; not ready from here on."""

    def drop(self, reason: str) -> None:
        """Close the connection. Returns at once."""


class Broadcast:
    """Keeps the open pages and feeds them. Lives in the server's event loop.

    max_rate_hz: messages a second to each page. health: asked every two seconds while somebody looks.
    stall_s: a page that has not taken its message after so long is dropped.
    """

    def __init__(
        self, slot: Slot, pictures: Pictures, *, max_rate_hz: float, stall_s: float, health: Health | None
    ) -> None:
        self._slot, self._health, self._pictures = slot, health, pictures
        self._period_s, self._stall_s = 1 / max_rate_hz, stall_s
        self._viewers: set[Viewer] = set()
        self._somebody: asyncio.Event | None = None
        self._health_s = -_HEALTH_S
        self._temperature_c: float | None = None

    def join(self, viewer: Viewer) -> None:
        """A page was opened."""
        viewer.sent_s = time.monotonic() - _HEARTBEAT_S  # So that it gets the state at once.
        self._viewers.add(viewer)
        if not self._slot.watched:
            self._slot.newest = None
            self._slot.watched = True
        if self._somebody:
            self._somebody.set()

    def leave(self, viewer: Viewer) -> None:
        """A page was closed. Twice is fine."""
        self._viewers.discard(viewer)
        if not self._viewers:
            self._slot.watched = False
            self._slot.newest = None
            self._pictures.forget()
            if self._somebody:
                self._somebody.clear()

    async def run(self) -> None:
        """Feed the pages until cancelled. Sleeps for good while there are none."""
        self._somebody = asyncio.Event()
        while True:
            await self._somebody.wait()
            self._feed(time.monotonic())
            await asyncio.sleep(self._period_s)

    def drop_all(self, reason: str) -> None:
        """Close every page's connection."""
        for viewer in tuple(self._viewers):
            viewer.drop(reason)
            self.leave(viewer)

    def _feed(self, now_s: float) -> None:
        for viewer in tuple(self._viewers):
            if not viewer.ready and now_s - viewer.sent_s > self._stall_s:
                viewer.drop("too slow")
                self.leave(viewer)
        result = self._slot.newest
        ready = [viewer for viewer in self._viewers if viewer.ready]
        new = [viewer for viewer in ready if result is not None and viewer.shown is not result]
        old = [viewer for viewer in ready if viewer not in new and now_s - viewer.sent_s >= _HEARTBEAT_S]
        if not new and not old:
            return
        state = self._slot.state(result, self._temperature(now_s))
        if new and result is not None:
            self._send(new, message(state, self._pictures(result)), result, now_s)
        if old:
            self._send(old, message(state, b""), result, now_s)

    def _send(self, viewers: list[Viewer], data: bytes, result: Result | None, now_s: float) -> None:
        for viewer in viewers:
            viewer.sent_s, viewer.shown = now_s, result
            viewer.send(data)

    def _temperature(self, now_s: float) -> float | None:
        if self._health is not None and now_s - self._health_s >= _HEALTH_S:
            health = self._health()
            self._temperature_c = health.temperature_c if health else None
            self._health_s = now_s
        return self._temperature_c
