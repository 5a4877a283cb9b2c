"""Boards for the tests of this folder: `make test-board`. They take minutes, so `make test` leaves them out."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Iterator

import pytest

from board.container import Container
from board.workstation import Workstation, settled

if not os.environ.get("BOARD_TESTS"):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def workstation(tmp_path: Path) -> Workstation:
    return Workstation(tmp_path)


@pytest.fixture(scope="session")
def container() -> Iterator[Container]:
    """A board in a container that is on, with nothing installed."""
    if os.geteuid() or not shutil.which("systemd-nspawn"):
        pytest.skip("containers need root and systemd-nspawn: tests/board/packages.sh, then sudo make test-board")
    with Container() as board:
        yield board


@pytest.fixture(scope="session")
def release_a(container: Container, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of a release that is installed on the container and works; its disk is kept as "a"."""
    Workstation(tmp_path_factory.mktemp("a")).run("deploy", container)
    release_id: str = settled(container)["current"]
    container.off()
    container.keep_disk("a")
    container.boot()
    return release_id


@pytest.fixture
def board_a(container: Container, release_a: str) -> Container:
    """The container just after release A was installed."""
    container.power_cut()
    container.put_back_disk("a")
    container.boot()
    return container
