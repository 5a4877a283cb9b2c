"""The sink, and the thread that serves it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from typing import Callable

from device.config import ViewConfig
from device.frame import Result
from device.view import access
from device.view.broadcast import Broadcast, Health
from device.view.pictures import Pictures
from device.view.server import listen, serve
from device.view.slot import Slot

log = logging.getLogger(__name__)

STALL_S = 5.0
_CLOSE_S = 1.0


class LiveView:
    """Sink that shows results in a browser. Use it in `with`; `close()` twice is fine.

    The loop's thread only puts the result into a slot, and only while somebody looks; pictures are encoded and sent in
    a thread of the server's own. Should that fail, the run goes on without it.

    source, model: names to show. health: where the temperature comes from. stall_s: a page that has not taken a
    message after so long is dropped. clock: monotonic nanoseconds. Opening raises ConfigError.
    """

    def __init__(
        self,
        config: ViewConfig,
        *,
        source: str,
        model: str,
        health: Health | None = None,
        stall_s: float = STALL_S,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._host = config.host
        self._slot = Slot(source, model, clock)
        self._pictures = Pictures()
        self._sockets = listen(config)
        self.port = int(self._sockets[0].getsockname()[1])
        broadcast = Broadcast(
            self._slot, self._pictures, max_rate_hz=config.max_rate_hz, stall_s=stall_s, health=health
        )
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(serve(self._sockets, config, broadcast))
        self._thread = threading.Thread(target=self._run, name="live view", daemon=True)
        self._thread.start()

    def __enter__(self) -> LiveView:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __call__(self, result: Result) -> None:
        self._slot.put(result)

    @property
    def address(self) -> str:
        """What to open in a browser."""
        host = access.own_address() if self._host in ("0.0.0.0", "::") else self._host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def pictures_encoded(self) -> int:
        """How many pictures were made for pages so far."""
        return self._pictures.encoded

    @property
    def watched(self) -> bool:
        """Whether somebody looks."""
        return self._slot.watched

    def close(self) -> None:
        """Close every page's connection, and end the thread."""
        with contextlib.suppress(RuntimeError):  # The loop has ended already.
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(_CLOSE_S)
        for socket in self._sockets:
            socket.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._task)
        except Exception as error:  # A page is no reason to end the run, whatever went wrong.
            log.warning("the live view has ended: %r; the run goes on", error)
        finally:
            self._loop.close()
