"""What the service tells systemd: through a real socket, as systemd has it."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT
from device.frame import Frame, Prediction, Result
from device.systemd import ServiceNotifier
from latency_logs import timings

ANY = Result(
    Frame(np.zeros((2, 2), np.uint8), 0, 0),
    np.zeros((28, 28), np.uint8),
    Prediction((0.1,) * 10, 1.0),
    "unsure",
    timings(total_ns=1_000_000),
    0,
    False,
)


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path):
    """(address as systemd gives it, the socket that it listens on)."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@garmentcam-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address.replace("@", "\0"))
        listening.settimeout(20)
        yield address, listening


def received(listening: socket.socket) -> list[str]:
    messages = []
    listening.setblocking(False)
    try:
        while True:
            messages.append(listening.recv(1000).decode())
    except BlockingIOError:
        return messages


def test_ready_comes_with_the_first_answer_and_food_once_a_second(manager):
    address, listening = manager
    ticks = itertools.count(0, 400_000_000)
    notify = ServiceNotifier({"NOTIFY_SOCKET": address}, clock=lambda: next(ticks))
    assert received(listening) == []
    for _ in range(8):  # at 0.0, 0.4, 0.8, 1.2 ... 2.8 s
        notify(ANY)
    assert received(listening) == ["READY=1\nWATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]


def test_without_systemd_or_when_it_does_not_listen_nothing_happens(tmp_path: Path):
    ServiceNotifier({})(ANY)
    ServiceNotifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})(ANY)


def test_a_run_feeds_the_watchdog_while_it_answers(manager, tmp_path: Path):
    address, listening = manager
    process = subprocess.Popen(
        [sys.executable, "-m", "device", "run", "--source", "synthetic://", "--log", str(tmp_path)],
        cwd=ROOT, env={**os.environ, "NOTIFY_SOCKET": address}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert [listening.recv(1000) for _ in range(3)] == [b"READY=1\nWATCHDOG=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        process.send_signal(signal.SIGSTOP)  # hangs
        time.sleep(0.5)
        received(listening)
        time.sleep(1.5)
        assert received(listening) == []
    finally:
        process.kill()
        process.wait()
