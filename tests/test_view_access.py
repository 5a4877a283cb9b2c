"""Who may look at the live view, and what strangers do not get."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
from typing import Any

import pytest
import websocket

from conftest import ROOT, device_command
from device.config import load_config
from device.view.server import MOST_CONNECTIONS
from view_pages import TOKEN, feeding, get, last_words, page, read, viewing, wait_until


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
