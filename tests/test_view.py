"""The live view's server, over real sockets: what pages get, what strangers do not, and that neither slows the loop."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import websocket

from conftest import ROOT, SHIPPED_MODEL, device_command
from device.cameras.synthetic import SyntheticCamera
from device.classifier import Classifier
from device.config import CameraConfig, ViewConfig, load_config
from device.decision import Decision
from device.errors import ConfigError
from device.frame import Frame, Prediction, Result, Timings
from device.labels import LABELS
from device.loop import run
from device.view.live import LiveView
from device.view.server import MOST_CONNECTIONS
from device.view.slot import REMEMBERED, Slot

STAGES = [field.name for field in dataclasses.fields(Timings)]
TOKEN = "0123456789abcdef-token"


def result(sequence: int = 0, *, total_us: float = 1000, skipped: int = 0, warmup: bool = False) -> Result:
    """One answer; its picture is 80x60 and as bright as its number."""
    scores = np.full(10, 0.02, np.float32)
    scores[sequence % 10] = 0.82
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


# ---- what a page gets


def test_a_page_gets_the_newest_frame_what_the_model_saw_and_the_scores():
    with viewing() as view, feeding(view):
        state, pictures = read_picture(page(view))
    shown = LABELS.index(state["label"])
    assert (state["source"], state["model"], state["truth"]) == ("a camera", "a model", "Coat")
    assert state["best"] == state["label"]
    assert state["scores"] == {label: pytest.approx(0.82 if i == shown else 0.02) for i, label in enumerate(LABELS)}
    assert pictures[:784] == result().image.tobytes()
    frame = cv2.imdecode(np.frombuffer(pictures[784:], np.uint8), cv2.IMREAD_COLOR)
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
    assert cv2.imdecode(np.frombuffer(pictures[784:], np.uint8), cv2.IMREAD_UNCHANGED).shape[:2] == expected


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


# ---- who may look


def test_a_token_is_asked_for_once():
    with viewing(token=TOKEN) as view:
        assert get(view).status == 401
        assert "view.token" in get(view).body
        wrong = get(view, "/?token=wrong")
        assert (wrong.status, wrong.getheader("Set-Cookie")) == (401, None)
        assert "not this board's token" in wrong.body
        right = get(view, f"/?token={TOKEN}")
        assert (right.status, right.getheader("Location")) == (303, "/")
        cookie = right.getheader("Set-Cookie")
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert TOKEN not in cookie
        assert get(view, Cookie=cookie.split(";")[0]).status == 200
        assert get(view, Cookie="garmentcam_view=wrong").status == 401
        with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
            page(view)
        with feeding(view):
            assert read(page(view, cookie=cookie.split(";")[0]))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9000", 200),  # Through an ssh tunnel.
        ("127.0.0.1", 200),
        ("[::1]:8028", 200),
        ("192.168.1.5:8028", 200),
        (socket.gethostname().upper(), 200),
        (f"{socket.gethostname()}.local", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:8028", 403),
    ],
)
def test_only_a_host_header_of_this_machine_is_answered(host: str, status: int):
    """Else a page elsewhere could point its own name here and read along (DNS rebinding)."""
    with viewing() as view:
        assert [get(view, path, Host=host).status for path in ("/", "/view.js")] == [status, status]


def test_pages_of_another_origin_cannot_listen():
    with viewing() as view:
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            page(view, origin="http://evil.example")
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            page(view, host="evil.example", origin="http://evil.example")


@pytest.mark.parametrize(
    "path",
    [
        "/../config.yaml",
        "/..%2f..%2fconfig.yaml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/static/view.js",
        "/sign-in.htm",
        "/view.js/",
        "/view.js%00",
        "/?token=%ff%fe",
        "/live",
    ],
)
def test_nothing_but_its_own_files_is_served(path: str):
    with viewing(token=TOKEN) as view:
        answer = get(view, path)
    assert answer.status in (400, 401, 404)
    assert "Traceback" not in answer.body
    assert "root:" not in answer.body
    assert "camera:" not in answer.body


def test_headers_forbid_everything_from_elsewhere():
    with viewing() as view:
        for path in ("/", "/view.css", "/nowhere"):
            answer = get(view, path)
            policy = answer.getheader("Content-Security-Policy")
            assert policy.startswith("default-src 'none'; script-src 'self'")
            assert "unsafe" not in policy
            assert answer.getheader("X-Content-Type-Options") == "nosniff"
            assert answer.getheader("Referrer-Policy") == "no-referrer"
            assert answer.getheader("Server") is None


def test_no_file_of_the_page_names_another_server():
    for path in (ROOT / "device" / "view" / "static").iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text.replace('"http', ""), path.name
        assert "https:" not in text.replace('"https:"', ""), path.name
        assert "//cdn" not in text, path.name


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(method: str):
    with viewing() as view:
        assert get(view, "/", method).status == 405


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n" + b"a" * 70_000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n" * 50_000,
    ],
    ids=["TLS", "long header", "body", "other version", "empty lines"],
)
def test_garbage_is_dropped_quietly(request_bytes: bytes, caplog: pytest.LogCaptureFixture):
    with viewing() as view:
        stranger = socket.create_connection(("127.0.0.1", view.port), timeout=10)
        with stranger:
            with contextlib.suppress(OSError):  # It may be closed in the middle.
                stranger.sendall(request_bytes)
                stranger.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while stranger.recv(1 << 16):
                    pass
        assert get(view).status == 200
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def test_a_page_that_sends_too_much_is_closed():
    with viewing() as view, feeding(view):
        talker = page(view)
        talker.send("x" * 1000)
        assert last_words(talker).endswith(b"message too big")
        assert read(page(view))


def test_strangers_cannot_use_up_the_open_files():
    with viewing() as view:
        opened = [socket.create_connection(("127.0.0.1", view.port), timeout=10) for _ in range(MOST_CONNECTIONS)]
        wait_until(lambda: len(os.listdir("/proc/self/fd")) >= 2 * MOST_CONNECTIONS)
        with socket.create_connection(("127.0.0.1", view.port), timeout=10) as one_more:
            assert one_more.recv(1) == b""
        for stranger in opened:
            stranger.close()

        def answers_again() -> bool:
            with contextlib.suppress(OSError, http.client.HTTPException):
                return get(view).status == 200
            return False

        wait_until(answers_again)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "camera.example"])
@pytest.mark.parametrize("token", ["", "too-short"])
def test_other_machines_need_a_token(tmp_path: Any, host: str, token: str):
    (tmp_path / "config.yaml").write_text(f"log: {{}}\nview:\n  host: '{host}'\n  token: '{token}'\n")
    done = device_command("run", "--config", tmp_path / "config.yaml", "--view")
    assert done.returncode == 1
    assert f"config.yaml:2: view: host {host} lets other machines look, so it needs a token" in done.stderr
    assert "secrets.token_urlsafe" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_this_machine_needs_none(tmp_path: Any, host: str):
    (tmp_path / "config.yaml").write_text(f"view: {{host: '{host}'}}\n")
    assert load_config(tmp_path / "config.yaml").view.host == host


# ---- how it starts and ends


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


# ---- that no page slows the loop


def test_a_page_that_does_not_take_its_message_is_dropped():
    with viewing(stall_s=0.3) as view, feeding(view):
        stalled = page(view)
        wait_until(lambda: view.watched)
        wait_until(lambda: not view.watched)
        assert last_words(stalled) == b"\x03\xe9too slow"


def test_asking_without_reading_gains_nothing():
    """A page that asks on and on, but takes nothing from the network, is dropped once its buffers are full."""
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    with viewing(stall_s=0.5) as view:
        before_mb = resident_mb()
        greedy = page(view, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])
        wait_until(lambda: view.watched)
        deadline_s = time.monotonic() + 30
        for sequence in itertools.count():
            answer = result(sequence)
            view(dataclasses.replace(answer, frame=Frame(noise, sequence, 0)))
            if not view.watched:
                break
            with contextlib.suppress(OSError):
                greedy.send("next")
            time.sleep(0.01)
            assert time.monotonic() < deadline_s, "never dropped"
    assert resident_mb() < before_mb + 30


def resident_mb() -> float:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def test_pages_that_come_and_go_leave_nothing_behind():
    with viewing() as view, feeding(view):
        for _ in range(50):
            page(view).close()
        wait_until(lambda: not view.watched)
        gc.collect()
        files, before_mb = len(os.listdir("/proc/self/fd")), resident_mb()
        for _ in range(300):
            looking = page(view)
            read(looking)
            looking.close()
        wait_until(lambda: not view.watched)
        gc.collect()
        wait_until(lambda: len(os.listdir("/proc/self/fd")) <= files)
        assert resident_mb() < before_mb + 5


def test_fifty_pages_do_not_slow_the_loop():
    """One run: without pages, with 25 that stall and 25 that read, without again. Bounds for a busy machine."""
    camera = SyntheticCamera(CameraConfig(frame_rate_hz=30))
    classifier, decision = Classifier(SHIPPED_MODEL), Decision(0.3)
    with viewing(stall_s=3.0, max_rate_hz=10) as view, camera:
        frames = iter(camera)

        def answer(seconds: float) -> tuple[float, float]:
            """(share of the camera's frames that were answered, ms of the loop's processor time for each)."""
            last = next(frames).sequence + round(seconds * 30)
            skipped: list[int] = []
            start_s = time.thread_time()
            until_last = itertools.takewhile(lambda frame: frame.sequence < last, frames)
            run(until_last, classifier, decision, [view, lambda result: skipped.append(result.skipped)])
            return len(skipped) / (len(skipped) + sum(skipped)), 1000 * (time.thread_time() - start_s) / len(skipped)

        answer(1)
        before, before_mb = answer(3), resident_mb()
        assert view.pictures_encoded == 0
        script = [sys.executable, str(ROOT / "tests" / "view_clients.py"), str(view.port), "25", "25"]
        clients = subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert clients.stdout.readline() == "open\n"
            watched = answer(6)
            grown_mb = resident_mb() - before_mb
            counts = json.loads(clients.communicate(timeout=60)[0])
        finally:
            clients.kill()
        wait_until(lambda: not view.watched)
        after = answer(3)
        assert view.pictures_encoded > 5
    for when, (share, cpu_ms) in {"before": before, "with 50 pages": watched, "after": after}.items():
        print(f"{when}: {share:.0%} of the frames answered, {cpu_ms:.1f} ms of processor each")
    print(f"{grown_mb:+.1f} MB; {counts}")
    assert watched[0] >= 0.25 * min(before[0], after[0])
    assert watched[1] <= 1.6 * max(before[1], after[1])
    assert grown_mb < 40
    assert counts["received"] > 100
    assert counts["dropped"] == 25
