"""From what is on a board to what is done to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_preflight import RECORDED

from deploy.config import DeployConfig
from deploy.errors import DeployError
from deploy.facts import Facts, Installed
from deploy.fleet import Command, Send, worth_telling
from deploy.operate import diagnosis, releases, rollback_steps, status, uninstall_steps
from deploy.preflight import Needs
from deploy.release import MadeRelease
from deploy.rollout import needs_of, plan, shares
from deploy.wheelhouse import Wheelhouse
from device.config import Config

RELEASE = MadeRelease("new", Path("/tmp/new"), 2_000_000, "code 1, model a")
WHEELS = Wheelhouse("key", Path("/tmp/wheels"), 60_000_000, 9)
NEEDS = Needs("/dev/video0", 0, 400, 0.0)
RUNNING = Installed(current="new", order=("new",), releases={"new": "code 1"}, venvs=("key",), service="active")


EMPTY = Installed()


def facts(installed: Installed = EMPTY, **changed: Any) -> Facts:
    recorded = msgspec.json.decode(RECORDED.read_bytes(), type=Facts)
    return msgspec.structs.replace(recorded, installed=installed, **changed)


def done(board: Facts) -> list[str]:
    return [step.does for step in plan(board, RELEASE, WHEELS, NEEDS).steps]


def test_an_empty_board_gets_everything():
    made = plan(facts(), RELEASE, WHEELS, NEEDS)
    assert [step.does for step in made.steps] == [
        "make room",
        "sent release new, 2.0 MB",
        "sent 9 packages, 60 MB",
        "installed the packages and checked the files",
        "activated",
    ]
    assert made.changes == ("release new, 2.0 MB: code 1, model a", "9 packages, 60 MB", "nothing -> new")


def test_a_board_that_is_as_it_should_be_gets_nothing():
    made = plan(facts(RUNNING), RELEASE, WHEELS, NEEDS)
    assert (made.steps, made.changes, made.stops) == ((), (), False)


def test_only_what_changed_travels():
    old = msgspec.structs.replace(RUNNING, current="old", order=("old",), releases={"old": "code 0"})
    made = plan(facts(old), RELEASE, WHEELS, NEEDS)
    assert made.changes == ("release new, 2.0 MB: code 1, model a", "old -> new")
    (send,) = [step for step in made.steps if isinstance(step, Send)]
    assert send.alike == "/opt/garmentcam/releases/old"


@pytest.mark.parametrize(
    "changed",
    [{"service": "failed"}, {"order": ()}, {"pending": "new"}, {"current": "old", "releases": {"new": "", "old": ""}}],
)
def test_a_release_that_is_there_but_not_well_is_activated_again(changed: dict[str, Any]):
    assert done(facts(msgspec.structs.replace(RUNNING, **changed))) == ["activated"]


def test_a_release_whose_files_are_gone_is_sent_again():
    gone = msgspec.structs.replace(RUNNING, releases={})
    assert done(facts(gone))[:2] == ["make room", "sent release new, 2.0 MB"]


def test_the_packages_stand_beside_picamera2_where_the_board_has_it():
    steps = plan(facts(picamera2="0.3.34-1"), RELEASE, WHEELS, NEEDS).steps
    texts = [step.text for step in steps if isinstance(step, Command)]
    assert any("prepare new --venv key-os --system-packages" in text for text in texts)


def test_too_full_a_disk_stops_what_would_not_fit():
    needs = msgspec.structs.replace(NEEDS, disk_mb=50)
    assert plan(facts(free_mb=250), RELEASE, WHEELS, needs).stops
    there = msgspec.structs.replace(RUNNING, releases={})
    assert not plan(facts(there, free_mb=250), RELEASE, WHEELS, needs).stops  # The packages are there already.


def test_one_board_first_then_shares():
    boards = [f"b{number}" for number in range(10)]
    assert shares(boards, 0.25) == [["b0"], ["b1", "b2", "b3"], ["b4", "b5", "b6"], ["b7", "b8", "b9"]]
    assert shares(["b0"], 0.25) == [["b0"]]
    assert shares(["b0", "b1"], 0.01) == [["b0"], ["b1"]]


def test_status_and_releases_in_words():
    there = Installed(
        "c", "", False, ("a", "c"), {"a": "code 1", "b": "code 2", "c": "code 3"}, (), "active", 2, 3, 10**6
    )
    assert status(facts(there)) == "c runs, started again 2 times (code 3); 3 logs, 1.0 MB"
    assert releases(facts(there)) == [
        "c  runs               code 3",
        "a  worked             code 1",
        "b  not in use         code 2",
    ]
    assert "nothing is installed" in status(facts())


def test_rollback_goes_to_the_release_that_worked_before():
    there = msgspec.structs.replace(RUNNING, current="c", order=("a", "b", "c"))
    (step,) = rollback_steps(facts(there))
    assert isinstance(step, Command)
    assert "cd /opt/garmentcam/releases/b " in step.text
    with pytest.raises(DeployError, match="no earlier release"):
        rollback_steps(facts(RUNNING))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"service": "failed", "last_words": "error: camera.source /dev/video0: gone"},
            "it says: error: camera.source",
        ),
        ({"restarts": 4, "newest_log_age_s": 1.0}, "started again 4 times"),
        ({"newest_log_age_s": 300.0}, "logged nothing for over 60 s"),
        ({"order": (), "newest_log_age_s": 1.0}, "never answered real frames here"),
        ({"releases": {}, "newest_log_age_s": 1.0}, "are gone: `make rollback` or `make deploy`"),
        ({"pending": "x", "newest_log_age_s": 1.0}, "was cut off: restart the board"),
        ({"pending": "x", "activating": True, "newest_log_age_s": 1.0}, "is being activated just now"),
        ({"current": ""}, "nothing is installed: `make deploy`"),
    ],
)
def test_the_doctor_says_what_is_wrong(changed: dict[str, Any], says: str):
    assert any(says in line for line in diagnosis(facts(msgspec.structs.replace(RUNNING, **changed))))


def test_the_doctor_finds_nothing_wrong_with_a_board_that_is_well():
    assert diagnosis(facts(msgspec.structs.replace(RUNNING, newest_log_age_s=2.0))) == []


def test_uninstall_touches_only_what_is_ours():
    (step,) = uninstall_steps()
    assert isinstance(step, Command)
    removed = step.text.split("rm -rf ")[1].split(";")[0].split()
    assert all("garmentcam" in path for path in removed)


def test_a_disk_on_which_nothing_would_be_logged_stops_a_deploy():
    needs = needs_of(Config(), DeployConfig())
    assert needs.disk_mb > Config().log.keep_free_mb
    there = Installed(venvs=("key",))
    assert plan(facts(there, free_mb=needs.disk_mb), RELEASE, WHEELS, needs).stops
    assert not plan(facts(there, free_mb=needs.disk_mb + 2), RELEASE, WHEELS, needs).stops


def test_of_a_python_that_fails_on_a_board_the_error_is_told_and_not_the_traceback():
    program = "def read():\n    open('/none/there')\nread()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    assert len(lines) > 3
    assert list(filter(worth_telling, lines)) == [lines[-1]]
    assert "/none/there" in lines[-1]
    assert worth_telling("it cannot answer: error: model.tflite: missing")
