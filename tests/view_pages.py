"""A live view with results to show, and pages that look at it over real sockets: for the tests of the view."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import websocket

from device.config import ViewConfig
from device.frame import Frame, Prediction, Result, Timings
from device.labels import LABELS
from device.view.live import LiveView

STAGES = [field.name for field in dataclasses.fields(Timings)]
TOKEN = "0123456789abcdef-token"


def result(sequence: int = 0, *, total_us: float = 1000, skipped: int = 0, warmup: bool = False) -> Result:
    """One answer; its picture is 80x60 and as bright as its number."""
    scores = tuple(0.82 if index == sequence % 10 else 0.02 for index in range(10))
    return Result(
        frame=Frame(np.full((60, 80, 3), sequence % 200, np.uint8), sequence, sequence, truth="Coat"),
        image=np.arange(784, dtype=np.uint32).astype(np.uint8).reshape(28, 28),
        prediction=Prediction(scores, 0.9),
        decision=LABELS[sequence % 10],
        timings=Timings(**{**dict.fromkeys(STAGES, 0), "total_ns": round(total_us * 1000)}),
        skipped=skipped,
        warmup=warmup,
    )


@contextlib.contextmanager
def feeding(view: LiveView, rate_hz: float = 100) -> Iterator[None]:
    """Results come, as from a loop."""
    ending = threading.Event()

    def feed() -> None:
        for sequence in itertools.count():
            view(result(sequence))
            if ending.wait(1 / rate_hz):
                return

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


@contextlib.contextmanager
def viewing(stall_s: float = 5.0, health: Callable[[], Any] | None = None, **settings: Any) -> Iterator[LiveView]:
    config = ViewConfig(**{"port": 0, "max_rate_hz": 50, **settings})
    with LiveView(config, source="a camera", model="a model", stall_s=stall_s, health=health) as view:
        yield view


def page(view: LiveView, **options: Any) -> websocket.WebSocket:
    return websocket.create_connection(f"ws://127.0.0.1:{view.port}/live", timeout=10, **options)


def read(page: websocket.WebSocket) -> tuple[dict[str, Any], bytes]:
    """One message: (state, pictures)."""
    state, pictures = page.recv().split(b"\n", 1)
    return json.loads(state), pictures


def ask(page: websocket.WebSocket) -> tuple[dict[str, Any], bytes]:
    page.send("next")
    return read(page)


def read_picture(page: websocket.WebSocket) -> tuple[dict[str, Any], bytes]:
    """The next message that has pictures."""
    state, pictures = read(page)
    while not pictures:
        state, pictures = ask(page)
    return state, pictures


def last_words(page: websocket.WebSocket) -> bytes:
    """What the server says when it closes: two bytes 1001 (going away), and why."""
    opcode, data = page.recv_data()
    while opcode != websocket.ABNF.OPCODE_CLOSE:
        opcode, data = page.recv_data()
    return data


def get(view: LiveView, path: str = "/", method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", view.port, timeout=10)
    headers.setdefault("Host", f"127.0.0.1:{view.port}")
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    response.body = response.read().decode()
    connection.close()
    return response


def wait_until(true: Callable[[], bool], within_s: float = 10) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "did not come about"
        time.sleep(0.01)
