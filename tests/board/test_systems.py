"""Other boards than the usual one: today's system, little memory, a Jetson Nano's wheels. Emulated; minutes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from board.conftest import needs, started
from board.qemu import Board
from board.workstation import (
    SLOW_S,
    Workstation,
    assert_answers,
    assert_logs_intact,
    newest_answers,
    read_logs,
    settled,
)


@pytest.fixture(scope="module")
def workstation(tmp_path_factory: pytest.TempPathFactory) -> Workstation:
    there = Workstation(tmp_path_factory.mktemp("workstation"))
    there.configure(source="/dev/video0", health_s=SLOW_S)
    return there


def test_too_little_memory_is_told(workstation: Workstation):
    needs("qemu-system-aarch64", "mmdebstrap")
    with started(Board("bookworm-arm64", 2252, memory_mb=256), "fresh") as small:
        small.camera("card")
        said = workstation.run("deploy", small, status=1)
        assert "MB of memory available of " in said
        assert "needs 200 MB: stop other services" in said
        assert settled(small, SLOW_S)["releases"] == {}


def test_trixie_gets_the_runtime_that_it_has(trixie: Board, workstation: Workstation, pictures: list[Path]):
    """Debian 13: Python 3.13, for which there is LiteRT only."""
    trixie.camera("picture", pictures[0])
    workstation.run("deploy", trixie)
    header = json.loads(next(iter(read_logs(trixie).values())).splitlines()[0])
    assert header["runtime"].startswith("litert 2")
    assert header["versions"]["python"].startswith("3.13.")
    assert len({answer["label"] for answer in newest_answers(trixie)}) == 1


def test_on_trixie_what_takes_too_much_memory_is_ended_and_started_again(trixie: Board, workstation: Workstation):
    assert "limits no memory" not in workstation.run("deploy", trixie)
    logs = read_logs(trixie)
    assert int(trixie.ssh("systemctl show -P MemoryMax garmentcam").stdout) == 400 * 2**20
    trixie.ssh("sudo systemctl set-property --runtime garmentcam MemoryMax=20M")
    deadline = time.monotonic() + SLOW_S
    while "Failed with result 'oom-kill'" not in trixie.ssh("journalctl -b -u garmentcam -o cat --no-pager").stdout:
        assert time.monotonic() < deadline
        time.sleep(2)
    assert "the service ended by itself and was started again" in workstation.run("doctor", trixie)
    trixie.ssh("sudo systemctl set-property --runtime garmentcam MemoryMax=400M")
    assert_answers(trixie, SLOW_S)
    assert_logs_intact(trixie, logs)
