"""What people are told of a board that cannot be talked to, by the real ssh client; no board is needed for that."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any, Iterator

import pytest

from conftest import ROOT
from deploy import fleet
from deploy.fleet import Command, Fleet

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@pytest.fixture(params=["resets", "closes", "is no ssh server"])
def broken_board(request: pytest.FixtureRequest) -> Iterator[str]:
    """host:port of something that takes a connection and then does not speak ssh."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    if request.param == "resets":  # As when the power is cut between the two sides' greetings.
                        connection.recv(1)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                    if request.param == "is no ssh server":
                        connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n" * 200)

        threading.Thread(target=answer, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def test_a_board_that_does_not_speak_ssh_is_an_error_and_no_traceback(broken_board: str):
    command = [sys.executable, "-m", "deploy", "status", "--host", broken_board]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in told
    assert f"error: {broken_board}: cannot be reached" in told
    assert len(told.splitlines()) <= 2


class Connection(threading.Thread):
    """As paramiko's transport: a thread that ends with the connection."""

    def __init__(self, ends: bool) -> None:
        super().__init__(daemon=True)
        self._ends = ends

    def run(self) -> None:
        time.sleep(0.3 if self._ends else 60)

    def is_active(self) -> bool:
        return self.is_alive()


@pytest.mark.parametrize("ends", [True, False])
def test_a_step_that_fails_just_before_its_connection_ends_was_cut_off(ends: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fleet, "ENDING_S", 1)
    connection = Connection(ends)
    connection.start()
    client = SimpleNamespace(get_transport=lambda: connection)
    host: Any = SimpleNamespace(name="board", connector=SimpleNamespace(client=client))
    boards = Fleet(["board"], "", 1, lambda *_: None)
    boards._steps["board", "hash"] = Command("activated", "true")
    boards.operation_host_error(boards._state, host, "hash")
    assert ("the connection was lost at: activated" in boards.failed["board"]) is ends
    assert ("stopped at: activated" in boards.failed["board"]) is not ends
