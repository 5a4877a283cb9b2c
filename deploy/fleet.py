"""Boards, connected through ssh by pyinfra: ask all of them, run steps on some of them, in parallel."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from pathlib import Path
from typing import Any, Callable, Generator, Mapping, Sequence

import msgspec
from pyinfra import logger
from pyinfra.api.command import RsyncCommand, StringCommand
from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.facts import get_facts
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.operation import add_op, operation
from pyinfra.api.operations import run_ops
from pyinfra.api.output import set_echo
from pyinfra.api.state import BaseStateCallback, State

from deploy.facts import PROBE, BoardFacts, Facts

CONNECT_TIMEOUT_S = 30
SILENCE_S = 30
"""A connection on which nothing is acknowledged for so long is lost."""
ENDING_S = 2
"""A command of a connection that breaks fails a moment before the connection itself is known to have ended."""


class Command(msgspec.Struct, frozen=True):
    """A shell command, run as root. does: what it is for, in words."""

    does: str
    text: str


class Send(msgspec.Struct, frozen=True):
    """A folder's content brought to a folder of the board, resumable. alike: a folder there to copy from instead."""

    does: str
    source: Path
    to: str
    alike: str = ""


Step = Command | Send

LOST = "what the board had begun it finishes by itself (`make status`); the same command goes on from there"


class Fleet(BaseStateCallback):
    """Use it in `with`. Boards that cannot be reached or whose step failed are in `failed`: name -> why.

    say: takes (board, line).
    """

    def __init__(self, boards: Sequence[str], ssh_config: str, parallel: int, say: Callable[[str, str], None]) -> None:
        self.failed: dict[str, str] = {}
        self._say = say
        self._connecting = True
        self._steps: dict[tuple[str, str], Step] = {}
        self._started: dict[str, float] = {}
        inventory = Inventory(([(board, _address(board, ssh_config)) for board in boards], {}))
        config = Config(PARALLEL=min(parallel, len(boards)), CONNECT_TIMEOUT=CONNECT_TIMEOUT_S)
        self._state = State(inventory, config)
        self._state.print_output = True
        self._state.add_callback_handler(self)

    def __enter__(self) -> Fleet:
        logger.handlers = [_Forward(self._forward)]
        logger.propagate = False
        # Of a greeting that breaks off it logs a traceback; what it raises comes here, too, and is told in words.
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)
        set_echo(lambda message=None, **_: self._forward(str(message)))
        with contextlib.suppress(PyinfraError):  # "No hosts remaining!": they are all in `failed`.
            connect_all(self._state)
        self._connecting = False
        for host in self._state.active_hosts:
            _drop_when_silent(host)
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(Exception):  # A lost connection may say so once more.
            disconnect_all(self._state)

    def ask(self, source: str) -> dict[str, Facts]:
        """The facts of each board; source: camera.source, whose path is looked for."""
        request = {"source": source, "_stdin": PROBE.read_text(encoding="utf-8"), "_timeout": 120}
        found = get_facts(self._state, BoardFacts, kwargs=request)
        answers = {host.name: found[host] for host in self._state.inventory if host in found}
        for board, facts in answers.items():
            if facts is None:
                self.failed[board] = "it has no Python 3.8 or newer: install python3 (Jetson Nano: python3.8)"
        return {board: facts for board, facts in answers.items() if facts is not None}

    def run(self, steps: Mapping[str, Sequence[Step]]) -> None:
        """Run each board's steps in order; a board whose step fails is out, and says which one it was."""
        for host in self._state.inventory:
            for step in steps.get(host.name, ()) if host in self._state.active_hosts else ():
                done = add_op(self._state, _step, step, name=step.does, host=host, _sudo=True)
                self._steps[host.name, done[host]._hash] = step
        with contextlib.suppress(PyinfraError):  # As above.
            run_ops(self._state)

    # ---- what pyinfra tells

    def host_connect_error(self, state: State, host: Host, error: Exception) -> None:  # type: ignore[override]
        self.failed[host.name] = connection_remedy(host.name, str(error))

    def operation_host_start(self, state: State, host: Host, op_hash: str) -> None:  # type: ignore[override]
        if op_hash in state.ops[host]:
            self._started[host.name] = time.monotonic()

    def operation_host_success(  # type: ignore[override]
        self, state: State, host: Host, op_hash: str, retry_count: int = 0
    ) -> None:
        step = self._steps[host.name, op_hash]
        self._say(host.name, f"{step.does} ({time.monotonic() - self._started[host.name]:.1f} s)")

    def operation_host_error(  # type: ignore[override]
        self, state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        does = self._steps[host.name, op_hash].does
        transport = _transport(host)
        transport.join(ENDING_S)
        lost = not transport.is_active()
        self.failed[host.name] = f"the connection was lost at: {does}; {LOST}" if lost else f"stopped at: {does}"

    def _forward(self, message: str) -> None:
        if self._connecting:
            return
        for line in message.splitlines():
            board, _, text = line.partition("] ")
            if not worth_telling(text):
                continue
            self._say(*((board[1:], text) if board.startswith("[") and text else ("", line)))


def worth_telling(text: str) -> bool:
    """Whether a line of what ran on a board is for people.

    Not pyinfra's account of a failed step, whose own name says it better; nor where in a program an error was raised:
    on a board whose disk is going even Python's own start may fail so. The error itself is in the line after that.
    """
    return not text.startswith(("Error: executed ", "Traceback (most recent call last):", "  "))


@operation(is_idempotent=False)
def _step(step: Step) -> Generator[StringCommand | RsyncCommand, None, None]:
    if isinstance(step, Command):
        yield StringCommand(step.text)
    else:
        alike = [f"--copy-dest={step.alike}"] if step.alike else []
        flags = ["-rlp", "--checksum", "--partial", "--delete", "--chmod=D755,F644", f"--timeout={SILENCE_S}", *alike]
        yield RsyncCommand(f"{step.source}/", f"{step.to}/", flags)


class _Forward(logging.Handler):
    """Hands pyinfra's errors on."""

    def __init__(self, take: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        self._take(record.getMessage())


def _address(board: str, ssh_config: str) -> dict[str, Any]:
    """Connection data of `[user@]host[:port]`; the rest comes from ssh's own configuration."""
    user, _, address = board.rpartition("@")
    host, _, port = address.partition(":")
    data: dict[str, Any] = {"ssh_hostname": host, "ssh_strict_host_key_checking": "yes"}
    if user:
        data["ssh_user"] = user
    if port:
        data["ssh_port"] = int(port)
    if ssh_config:
        data["ssh_config_file"] = ssh_config
    return data


def _drop_when_silent(host: Host) -> None:
    """Let the kernel end a connection whose other end is gone: by itself it notices after a quarter of an hour."""
    transport = _transport(host)
    transport.set_keepalive(5)
    if isinstance(transport.sock, socket.socket):
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_S * 1000)


def _transport(host: Host) -> Any:
    return host.connector.client.get_transport()  # type: ignore[attr-defined]


def connection_remedy(board: str, error: str) -> str:
    """What ssh's trouble means, and what to do."""
    login, _, port = board.partition(":")
    ssh = f"ssh -p {port} {login}" if port else f"ssh {login}"
    for sign, text in (
        ("No host key", f"its host key is not known here: run `{ssh}` once and compare the fingerprint"),
        (
            "does not match",
            f"its host key has changed: if the board was set up anew, `ssh-keygen -R {login}`, then `{ssh}`",
        ),
        (
            "Authentication",
            f"it does not take your key: `ssh-copy-id {board}`, then `{ssh}` must work without a password",
        ),
        ("resolve", f"no such host: is the board on, and on this network? Try `ping {login.rpartition('@')[2]}`"),
    ):
        if sign in error:
            return text
    return f"cannot be reached ({error}): is the board on? `{ssh}` must work without a password"
