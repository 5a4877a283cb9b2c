"""A board whose kernel has a camera: what it says of pictures, and what a camera may do to it. Under qemu; minutes."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from board.qemu import Board
from board.workstation import (
    SLOW_S,
    Workstation,
    assert_answers,
    assert_logs_intact,
    assert_same_label_here,
    read_logs,
    settled,
    told,
)

POWER_CUTS = int(os.environ.get("QEMU_POWER_CUTS", "2"))


@pytest.fixture(scope="module")
def workstation(tmp_path_factory: pytest.TempPathFactory) -> Workstation:
    there = Workstation(tmp_path_factory.mktemp("workstation"))
    there.configure(source="/dev/video0", health_s=SLOW_S)
    return there


@pytest.fixture(scope="module")
def seeing(bookworm: Board, workstation: Workstation, pictures: list[Path]) -> Board:
    """The emulated board with a release that answers frames of its camera."""
    bookworm.camera("picture", pictures[0])
    workstation.run("deploy", bookworm)
    return bookworm


def wait_until_told(board: Board, words: str, times: int = 1) -> None:
    deadline = time.monotonic() + SLOW_S
    while told(board).count(words) < times:
        assert time.monotonic() < deadline, told(board)
        time.sleep(2)


def test_its_labels_are_those_of_the_workstation(seeing: Board, pictures: list[Path], tmp_path: Path):
    for picture in pictures:
        seeing.camera("picture", picture)
        print(picture.name)
        assert_same_label_here(seeing, tmp_path)


def test_unplugged_and_stuck_under_load_it_comes_back_and_says_so_once(seeing: Board, workstation: Workstation):
    logs = read_logs(seeing)
    seeing.ssh("for n in 1 2; do sudo systemd-run -q --unit=load$n --collect sh -c 'while :; do :; done'; done")
    try:
        seeing.camera("card")
        lost, back = "trying again until it is back", ": back after "
        for number, what in enumerate(("unplug", "stall"), 1):
            assert_answers(seeing, SLOW_S)
            seeing.camera(what)
            wait_until_told(seeing, lost, number)
            if what == "stall":
                seeing.camera("go on")
            wait_until_told(seeing, back, number)
            assert_answers(seeing, SLOW_S)
        assert told(seeing).count("gave no frame for 2 s or was unplugged; check its cable") == 2
        assert told(seeing).count(lost) == 2
    finally:
        seeing.ssh("sudo systemctl stop load1 load2")
    assert_logs_intact(seeing, logs)
    assert "gaps: 2 without the camera" in workstation.run("logs", seeing)


def test_a_camera_that_is_missing_at_start_and_appears_later(seeing: Board, workstation: Workstation):
    seeing.ssh("sync")
    logs = read_logs(seeing)
    seeing.power_cut()
    seeing.boot()  # Its kernel makes no camera by itself.
    said = workstation.run("deploy", seeing, status=1)
    assert "stop: camera.source /dev/video0 is not there (no camera at all is): plug it in" in said
    wait_until_told(seeing, "error: camera.source /dev/video0: no such device", 2)
    said = workstation.run("doctor", seeing)
    assert "wrong: the service " in said
    assert "error: camera.source /dev/video0: no such device" in said
    seeing.camera("card")
    assert_answers(seeing, SLOW_S)
    assert_logs_intact(seeing, logs)


def test_a_clock_from_1970_is_told_and_does_no_harm(seeing: Board, workstation: Workstation):
    logs = read_logs(seeing)
    workstation.name_model("of 1970")
    seeing.ssh("sudo date -s '1970-01-01 00:10:00'")
    try:
        said = workstation.run("deploy", seeing)
        assert "note: its clock says 1970-01-01 00:1" in said
        assert settled(seeing, SLOW_S)["service"] == "active"
        assert_answers(seeing, SLOW_S)
        assert "the service is well" in workstation.run("doctor", seeing)
    finally:
        seeing.ssh(f"sudo date -s @{int(time.time())}")
    assert_answers(seeing, SLOW_S)
    assert_logs_intact(seeing, logs)


def test_after_a_power_cut_of_the_whole_machine_a_release_that_works_runs(seeing: Board, workstation: Workstation):
    seed = int(os.environ.get("SEED") or time.time())
    print(f"QEMU_POWER_CUTS={POWER_CUTS} SEED={seed}")
    moments = random.Random(seed)
    for number in range(POWER_CUTS):
        seeing.ssh("sync")
        logs = read_logs(seeing)
        before = settled(seeing, SLOW_S)["current"]
        workstation.name_model(f"cut {number}")
        deploy = workstation.start("deploy", seeing)
        after_s = moments.uniform(1, 40)
        time.sleep(after_s)
        seeing.power_cut()
        said = deploy.communicate(timeout=SLOW_S)[0]
        seeing.boot()
        seeing.camera("card")
        there = settled(seeing, SLOW_S)
        print(f"{said}cut {number} after {after_s:.1f} s: {there['current']} runs")
        assert "Traceback" not in said
        assert there["current"] == before or there["current"] in there["order"]
        assert_answers(seeing, SLOW_S)
        assert_logs_intact(seeing, logs)
        workstation.run("deploy", seeing)
        assert settled(seeing, SLOW_S)["current"] != before
