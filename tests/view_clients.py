"""Pages for the load test, in a process of their own: `python tests/view_clients.py PORT STALLED READING`.

Stalled ones open the WebSocket and never read; half of them ask for more all the time nevertheless. Reading ones take
each message and ask for the next. Ends when standard input does, and prints as JSON how many messages the reading ones
got and how many of the stalled ones the server had dropped.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import sys
import threading
import time

import websocket


def stalled(port: int) -> websocket.WebSocket:
    """A page whose kernel buffer is small, so that it is full at once."""
    options = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    return websocket.create_connection(f"ws://127.0.0.1:{port}/live", timeout=10, sockopt=options)


def is_dropped(page: websocket.WebSocket, deadline_s: float) -> bool:
    """Whether the server has closed it: reading what is left comes to an end."""
    try:
        while time.monotonic() < deadline_s:
            page.sock.settimeout(0.1 + max(0.0, deadline_s - time.monotonic()))
            if not page.sock.recv(1 << 16):
                return True
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


def main(port: int, stalled_count: int, reading_count: int) -> None:
    os.nice(19)  # Pages run on other machines: they must not take the processor from the loop under test.
    silent = [stalled(port) for _ in range(stalled_count)]
    readers = [websocket.create_connection(f"ws://127.0.0.1:{port}/live", timeout=10) for _ in range(reading_count)]
    selector = selectors.DefaultSelector()
    for reader in readers:
        selector.register(reader.sock, selectors.EVENT_READ, reader)
    ending = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ending.set()), daemon=True).start()
    print("open", flush=True)
    received, asked_s = 0, 0.0
    while not ending.is_set():
        for key, _ in selector.select(0.1):
            try:
                received += bool(key.data.recv())
                key.data.send("next")
            except (OSError, websocket.WebSocketException):  # Dropped: this machine was too busy for it.
                selector.unregister(key.fileobj)
        if time.monotonic() - asked_s > 0.2:
            asked_s = time.monotonic()
            for page in silent[::2]:
                with contextlib.suppress(OSError):  # Dropped already.
                    page.send("next")
    deadline_s = time.monotonic() + 30
    dropped = sum(is_dropped(page, deadline_s) for page in silent)
    print(json.dumps({"received": received, "dropped": dropped}), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
