"""Boards for the tests of this folder: `make test-board`. They take minutes, so `make test` leaves them out.

BOARD_TESTS=if-possible skips, and says why, where a machine cannot have the boards; 1 takes that for a failure.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Iterator

import cv2
import pytest

from board.container import Container
from board.qemu import Board, BoardError
from board.workstation import ROOT, Workstation, assert_logs_intact, read_logs, settled

if not os.environ.get("BOARD_TESTS"):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def workstation(tmp_path: Path) -> Workstation:
    return Workstation(tmp_path)


def needs(*programs: str) -> None:
    """Skip where boards cannot be made or started."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing or os.geteuid():
        what = f"is missing: {', '.join(missing)}" if missing else "must be root's"
        pytest.skip(f"what virtual boards need {what}; bash tests/board/packages.sh, then sudo make test-board")


@contextlib.contextmanager
def started(board: Board, how: str) -> Iterator[Board]:
    """The board, on, with nothing installed."""
    board.power_cut()  # One that an earlier run left behind.
    try:
        board.boot(how)
    except (BoardError, OSError, subprocess.SubprocessError) as error:
        board.power_cut()
        if os.environ["BOARD_TESTS"] != "if-possible":
            raise
        pytest.skip(f"no {board.name} board on this machine: {error}")
    try:
        yield board
    finally:
        board.power_cut()


@pytest.fixture(scope="session")
def container() -> Iterator[Board]:
    """A board in a container, however the last test left it."""
    needs("systemd-nspawn", "mmdebstrap")
    with started(Container(), "fresh") as board:
        yield board


@pytest.fixture
def bare(container: Container) -> Container:
    """The container with a new disk: nothing is installed."""
    container.power_cut()
    container.boot("fresh")
    return container


@pytest.fixture(scope="session")
def kept_a(container: Container, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """The id of a release that is installed on the container and works, and its logs; its disk is kept as "a"."""
    container.power_cut()
    container.boot("fresh")
    Workstation(tmp_path_factory.mktemp("a")).run("deploy", container)
    release_id: str = settled(container)["current"]
    logs = read_logs(container)
    assert logs
    container.off()
    container.keep_disk("a")
    container.boot()
    return release_id, logs


@pytest.fixture(scope="session")
def release_a(kept_a: tuple[str, dict[str, str]]) -> str:
    return kept_a[0]


@pytest.fixture
def board_a(container: Container, kept_a: tuple[str, dict[str, str]]) -> Iterator[Container]:
    """The container just after release A was installed. Whatever a test does to it, the logs of A stay."""
    container.power_cut()
    container.put_back_disk("a")
    container.boot()
    yield container
    assert_logs_intact(container, kept_a[1])


@pytest.fixture(scope="module")
def bookworm() -> Iterator[Board]:
    """As Raspberry Pi OS of 2023: Python 3.11, tflite-runtime."""
    needs("qemu-system-aarch64", "mmdebstrap")
    with started(Board("bookworm-arm64", 2250), "resume") as board:
        yield board


@pytest.fixture(scope="module")
def trixie() -> Iterator[Board]:
    """As Raspberry Pi OS of 2025: Python 3.13, LiteRT. Somebody has switched memory limits on."""
    needs("qemu-system-aarch64", "mmdebstrap")
    with started(Board("trixie-arm64", 2251, memory_limits=True), "resume") as board:
        yield board


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Photographs of clothing where they are, else a made-up frame."""
    for folder in (ROOT / "data" / "photos", ROOT.parent / "shared" / "photos"):
        if found := sorted((folder / "images").glob("*.jpg")):
            return [found[number] for number in (0, 8, 23)]
    from device.cameras.synthetic import SyntheticCamera
    from device.config import CameraConfig

    path = tmp_path_factory.mktemp("pictures") / "garment.png"
    with SyntheticCamera(CameraConfig(), paced=False) as camera:
        cv2.imwrite(str(path), next(iter(camera)).pixels)
    return [path]
