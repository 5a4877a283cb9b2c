"""The sockets and the web server, with limits that a stranger cannot pass."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets

from device.config import ViewConfig
from device.errors import ConfigError
from device.view.broadcast import Broadcast
from device.view.handlers import make_application

MOST_CONNECTIONS = 64
"""More are closed at once: a stranger must not use up the open files that the log and the camera need."""
_HEADER_TIMEOUT_S = 10.0
_GOODBYE_S = 0.05
_END_S = 0.5


def listen(config: ViewConfig) -> list[socket.socket]:
    """Sockets that already take connections. Raises ConfigError."""
    where = f"view.host {config.host}, view.port {config.port}"
    try:
        return bind_sockets(config.port, config.host)
    except socket.gaierror as error:
        raise ConfigError(f"{where}: {error.strerror}; expected an address of this machine") from None
    except OSError as error:
        remedy = {
            errno.EADDRINUSE: "another program, or another run, listens there; end it or choose another view.port",
            errno.EADDRNOTAVAIL: "expected an address of this machine, or 0.0.0.0 for all of them",
            errno.EACCES: "ports under 1024 need root; choose another view.port",
        }.get(error.errno or 0, "choose another view.host or view.port")
        raise ConfigError(f"{where}: {error.strerror}: {remedy}") from None


async def serve(sockets: list[socket.socket], config: ViewConfig, broadcast: Broadcast) -> None:
    """Answer until cancelled, then close every connection."""
    # Its notes about malformed requests are a stranger's to write; they would fill the log of the run.
    logging.getLogger("tornado.general").setLevel(logging.ERROR)
    server = _Server(
        make_application(config, broadcast),
        max_header_size=16 * 1024,
        max_body_size=0,
        max_buffer_size=64 * 1024,
        idle_connection_timeout=_HEADER_TIMEOUT_S,
    )
    server.add_sockets(sockets)
    try:
        await broadcast.run()
    finally:
        server.stop()
        broadcast.drop_all("the run has ended")
        await asyncio.sleep(_GOODBYE_S)  # For these words to leave.
        server.close_streams()
        # What was reading or writing ends by that; a task left behind would be reported with a traceback.
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:
            await asyncio.wait(rest, timeout=_END_S)


class _Server(HTTPServer):
    """Takes no more than MOST_CONNECTIONS, WebSockets included."""

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        super().initialize(*args, **kwargs)
        self._streams: list[IOStream] = []

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        self._streams = [other for other in self._streams if not other.closed()]
        if len(self._streams) >= MOST_CONNECTIONS:
            stream.close()
            return
        self._streams.append(stream)
        super().handle_stream(stream, address)

    def close_streams(self) -> None:
        """Close every connection at once."""
        for stream in self._streams:
            stream.close()
