"""What the live view's pages get, over real sockets, and how the view starts and ends."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import websocket

from conftest import ROOT, SHIPPED_MODEL, device_command
from device.config import ViewConfig
from device.errors import ConfigError
from device.frame import Frame
from device.labels import LABELS
from device.view.live import LiveView
from device.view.slot import REMEMBERED, Slot
from view_pages import TOKEN, ask, feeding, last_words, page, read, read_picture, result, viewing, wait_until


def test_a_page_gets_the_newest_frame_what_the_model_saw_and_the_scores():
    with viewing() as view, feeding(view):
        state, pictures = read_picture(page(view))
    shown = LABELS.index(state["label"])
    assert (state["source"], state["model"], state["truth"]) == ("a camera", "a model", "Coat")
    assert state["best"] == state["label"]
    assert state["scores"] == {label: pytest.approx(0.82 if i == shown else 0.02) for i, label in enumerate(LABELS)}
    assert pictures[:785] == b"\x01" + result().image.tobytes()
    frame = cv2.imdecode(np.frombuffer(pictures[785:], np.uint8), cv2.IMREAD_COLOR)
    assert frame.shape == (60, 80, 3)
    assert round(float(frame.mean())) % 10 == shown  # Picture and scores are of one frame.


@pytest.mark.parametrize(("shape", "expected"), [((960, 1280, 3), (480, 640)), ((100, 50), (100, 50))])
def test_large_frames_are_sent_small_and_gray_ones_work(shape: tuple[int, ...], expected: tuple[int, int]):
    answer = result()
    answer = dataclasses.replace(answer, frame=Frame(np.zeros(shape, np.uint8), 0, 0))
    with viewing() as view:
        looking = page(view)
        wait_until(lambda: view.watched)
        view(answer)
        _, pictures = read_picture(looking)
    assert cv2.imdecode(np.frombuffer(pictures[785:], np.uint8), cv2.IMREAD_UNCHANGED).shape[:2] == expected


def test_nothing_is_encoded_or_kept_while_nobody_looks():
    with viewing() as view, feeding(view):
        time.sleep(0.3)
        assert (view.pictures_encoded, view.watched) == (0, False)
        looking = page(view)
        read_picture(looking)
        looking.close()
        wait_until(lambda: not view.watched)
        encoded = view.pictures_encoded
        assert encoded >= 1
        time.sleep(0.3)
        assert view.pictures_encoded == encoded


def test_a_picture_is_encoded_once_for_all_and_not_oftener_than_the_rate():
    with viewing(max_rate_hz=5) as view, feeding(view):
        pages = [page(view) for _ in range(4)]
        start_s = time.monotonic()
        for _ in range(8):
            for looking in pages:
                looking.recv()
            for looking in pages:
                looking.send("next")
        assert view.pictures_encoded <= (time.monotonic() - start_s) * 5 + 2


def test_a_page_gets_more_only_when_it_asks():
    with viewing() as view, feeding(view):
        looking = page(view)
        read_picture(looking)
        looking.settimeout(0.4)
        with pytest.raises(websocket.WebSocketTimeoutException):
            looking.recv()
        looking.settimeout(10)
        assert ask(looking)[0]["scores"]


def test_without_frames_the_page_is_told_how_long():
    """The camera is lost: the state still comes, with the age of the last answer and no new picture."""
    with viewing() as view:
        looking = page(view)
        wait_until(lambda: view.watched)
        view(result())
        first, _ = read_picture(looking)
        state, pictures = ask(looking)
        while not state["stale"]:
            assert pictures == b""
            state, pictures = ask(looking)
        assert state["age_s"] > 2
        view(result(1))
        state, _ = ask(looking)
    assert (first["stale"], state["stale"], state["answered"]) == (False, False, 2)


def test_the_figures_are_of_the_newest_frames_and_without_warm_up():
    now_ns = itertools.count(0, 10_000_000)
    slot = Slot("", "", clock=lambda: next(now_ns))
    slot.put(result(total_us=9e6, warmup=True))
    for i in range(99):
        slot.put(result(total_us=i + 1, skipped=2))
    state = slot.state(None, None)
    assert state.latencies_us == [i + 1 for i in range(99)]
    assert (state.p50_us, state.p99_us) == (50, None)  # No p99 of under 100 samples.
    assert (state.answered, state.skipped) == (100, 198)
    assert state.rate_hz == pytest.approx(100)
    for i in range(REMEMBERED):
        slot.put(result(total_us=1000 + i))
    state = slot.state(None, None)
    assert state.latencies_us == [1000 + i for i in range(REMEMBERED)]
    assert (state.p50_us, state.p99_us) == (1149, 1296)


def test_the_rate_forgets_a_gap():
    now_s = 0.0
    slot = Slot("", "", clock=lambda: round(now_s * 1e9))
    assert slot.state(None, None).rate_hz is None
    for pause_s in [0.1] * 100 + [60.0] + [0.05] * 60:
        now_s += pause_s
        slot.put(result())
    assert slot.state(None, None).rate_hz == pytest.approx(20)


def test_a_slow_camera_is_not_called_lost():
    now_s = 0.0
    slot = Slot("", "", clock=lambda: round(now_s * 1e9))
    for _ in range(3):
        now_s += 10
        slot.put(result())
    now_s += 40
    assert not slot.state(None, None).stale
    now_s += 11
    assert slot.state(None, None).stale


def test_a_port_in_use_and_a_foreign_address_are_clear_errors(tmp_path: Any):
    with viewing() as view:
        (tmp_path / "config.yaml").write_text(f"view: {{port: {view.port}}}\n")
        done = device_command("run", "--config", tmp_path / "config.yaml", "--view", "--model", SHIPPED_MODEL)
    assert done.returncode == 1
    assert f"error: view.host 127.0.0.1, view.port {view.port}: Address already in use: another program" in done.stderr
    assert "Traceback" not in done.stderr
    with pytest.raises(ConfigError, match="expected an address of this machine"):
        LiveView(ViewConfig(host="192.0.2.7", token=TOKEN), source="", model="")


def test_closing_twice_tells_pages_and_frees_the_port_and_the_thread():
    threads = threading.active_count()
    with viewing() as view:
        with feeding(view):
            looking = page(view)
            read(looking)
        start_s = time.monotonic()
        view.close()
        assert time.monotonic() - start_s < 2
        view.close()
    assert threading.active_count() == threads
    assert last_words(looking) == b"\x03\xe9the run has ended"
    with viewing(port=view.port):
        pass


def test_closing_while_pages_stall_leaves_nothing_behind(caplog: pytest.LogCaptureFixture):
    """Not a task whose exception Python would report with a traceback, and not an open file."""
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    gc.collect()
    files = len(os.listdir("/proc/self/fd"))
    with viewing(stall_s=60) as view:
        greedy = page(view, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])
        wait_until(lambda: view.watched)
        encoded = -1
        while view.pictures_encoded > encoded:  # Until the network's buffers are full.
            encoded = view.pictures_encoded
            for sequence in range(20):
                view(dataclasses.replace(result(), frame=Frame(noise, sequence, 0)))
                greedy.send("next")
                time.sleep(0.02)
        silent = socket.create_connection(("127.0.0.1", view.port), timeout=10)
    greedy.shutdown()
    silent.close()
    gc.collect()
    assert not caplog.records
    assert len(os.listdir("/proc/self/fd")) == files


def test_the_board_asks_its_health_only_while_somebody_looks():
    asked: list[float] = []

    def health() -> Any:
        asked.append(time.monotonic())
        return SimpleNamespace(temperature_c=61.5)

    with viewing(health=health) as view, feeding(view):
        time.sleep(0.2)
        assert not asked
        looking = page(view)
        state, _ = read(looking)
        for _ in range(5):
            ask(looking)
    assert state["temperature_c"] == 61.5
    assert len(asked) <= 1 + (asked[-1] - asked[0]) / 2


def test_the_run_goes_on_when_the_view_fails(caplog: pytest.LogCaptureFixture):
    def broken() -> Any:
        raise OSError("no such sensor")

    with viewing(health=broken) as view:
        page(view)
        wait_until(lambda: "the live view has ended" in caplog.text)
        view(result())
    assert "no such sensor" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_while_somebody_looks(tmp_path: Any, number: signal.Signals):
    config = tmp_path / "config.yaml"
    config.write_text("view: {port: 0}\n")
    arguments = ["--config", config, "--model", SHIPPED_MODEL, "--log", tmp_path, "--view"]
    command = [sys.executable, "-u", "-m", "device", "run", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = next(line for line in process.stdout if line.startswith("live view: ")).split()[-1]
    looking = websocket.create_connection(f"ws://{address[7:]}live", timeout=10)
    read_picture(looking)
    process.send_signal(number)
    sent_s = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - sent_s < 2
    assert (process.returncode, "Traceback" in errors) == (0, False), errors
    footer = json.loads(next(tmp_path.glob("*.jsonl")).read_text().splitlines()[-1])
    assert (footer["record"], footer["ended"]) == ("footer", "signal")
