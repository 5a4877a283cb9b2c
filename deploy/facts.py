"""What is known of a board: the answer of deploy/board/probe.py, typed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import msgspec
from pyinfra.api.facts import FactBase

from deploy.wheelhouse import Target

PROBE = Path(__file__).with_name("board") / "probe.py"


class CameraDevice(msgspec.Struct, frozen=True):
    """A /dev/video*. group: who may use it besides root; group_rw: whether that group may."""

    path: str
    name: str
    group: str
    group_rw: bool


class Installed(msgspec.Struct, frozen=True):
    """What of ours is there. releases: id -> what it was made of. order: those that proved healthy, newest last."""

    current: str = ""
    pending: str = ""
    activating: bool = False
    order: tuple[str, ...] = ()
    releases: dict[str, str] = {}
    venvs: tuple[str, ...] = ()
    service: str = "inactive"
    restarts: int = 0
    logs: int = 0
    log_bytes: int = 0
    newest_log_age_s: float | None = None
    last_words: str = ""


class Facts(msgspec.Struct, frozen=True):
    """One board. sudo: it is there; root: it works without a password.

    can_have_packages: its Python has what uv needs. throttled: the firmware's bits, None where there is none.
    read_only: "ro", "overlay" (writes are lost at power-off) or "". source_there: whether the path of camera.source
    exists, None when it is no path. camera_holders: other programs that have the camera open, None when unknown.
    """

    machine: str
    model: str
    os: str
    python: tuple[int, int]
    python_path: str
    can_have_packages: bool
    glibc: tuple[int, int]
    systemd: int
    root: bool
    sudo: bool
    rsync: bool
    read_only: str
    free_mb: int
    memory_mb: int
    available_mb: int
    memory_limits: bool
    utc_s: float
    groups: tuple[str, ...]
    cameras: tuple[CameraDevice, ...]
    camera_holders: tuple[str, ...] | None
    source_there: bool | None
    picamera2: str
    throttled: int | None
    installed: Installed

    @property
    def target(self) -> Target:
        """Which wheels fit."""
        return Target(self.machine, self.python, self.glibc)


class BoardFacts(FactBase[Facts | None]):
    """Runs the probe on a board, with the first Python there that is new enough, as root where sudo allows it."""

    def command(self, source: str) -> str:
        """The shell command; the probe itself comes on standard input."""
        pythons = " ".join(["python3", *(f"python3.{minor}" for minor in range(13, 7, -1))])
        return (
            'sudo=; if [ "$(id -u)" != 0 ] && sudo -n true 2>/dev/null; then sudo="sudo -n"; fi; '
            f"for python in {pythons}; do "
            '"$python" -c "import sys; sys.exit(sys.version_info < (3, 8))" 2>/dev/null && '
            f'exec $sudo "$(command -v "$python")" - {shlex.quote(source)}; done; echo no-python'
        )

    def process(self, output: list[str]) -> Facts | None:
        """The last line, decoded; None when the board has no Python that is new enough."""
        return None if output[-1] == "no-python" else msgspec.json.decode(output[-1], type=Facts)

    @staticmethod
    def default() -> Any:
        """Nothing is known of a board that did not answer."""
        return None
