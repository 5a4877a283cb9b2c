"""What goes wrong during a deploy or after it: what people are told, and what runs afterwards."""

from __future__ import annotations

import os
import platform
import random
import subprocess
import time

import pytest

from board.container import Container
from board.workstation import Workstation, assert_answers, settled
from deploy.wheelhouse import Target, wheelhouse_for

POWER_CUTS = int(os.environ.get("POWER_CUTS", "6"))
KILLS = int(os.environ.get("KILLS", "100"))
SEED = int(os.environ.get("SEED") or time.time())
VERSIONS = (
    "python3 -c 'import sys; print(*sys.version_info[:2])'",
    """python3 -c 'import platform; print(*platform.libc_ver()[1].split("."))'""",
)


def assert_runs(board: Container, release_id: str) -> None:
    """That release runs, is whole, answers frames, and nothing is pending."""
    there = settled(board)
    assert there["current"] == release_id
    check = f"cd /opt/garmentcam/releases/{release_id} && sudo python3 -B -c '{WHOLE}'"
    assert board.ssh(check).stdout.strip() == "[]"
    assert_answers(board)


WHOLE = "from deploy.board.layout import *; print(Layout().release(Layout().linked(Layout().current)).damage())"


def make_copy(board: Container, release_id: str, change: str) -> None:
    """On the board, a release `copy` that differs from another by a shell command, its manifest told so."""
    board.ssh(
        f"set -e; cd /opt/garmentcam/releases; sudo cp -a {release_id} copy; cd copy; sudo sh -c '{change}'; "
        "sudo python3 -B -c 'import json; from pathlib import Path; from deploy.board.files import sha256; "
        'm = json.loads(Path("manifest.json").read_text()); m["health_s"] = 8; '
        'm["files"] = {n: sha256(Path(n)) for n in m["files"]}; '
        'Path("manifest.json").write_text(json.dumps(m))\''
    )


def activate_copy(board: Container) -> str:
    """Ask for it as a deploy does; returns what is told."""
    run = "sudo /usr/bin/python3 -B -m deploy.board"
    return board.ssh(f"cd /opt/garmentcam/releases/copy && {run} request copy && {run} follow", check=False).stdout


def test_after_a_power_cut_at_any_moment_a_release_that_works_runs(
    board_a: Container, release_a: str, workstation: Workstation
):
    moments = random.Random(SEED)
    workstation.name_model("b")
    start_s = time.monotonic()
    workstation.run("deploy", board_a)
    whole_s = time.monotonic() - start_s  # Of a deploy that nothing cuts off.
    board_a.power_cut()
    print(f"POWER_CUTS={POWER_CUTS} SEED={SEED}, each within {whole_s:.1f} s")
    for number in range(POWER_CUTS):
        board_a.put_back_disk("a")
        board_a.boot()
        deploy = workstation.start("deploy", board_a)
        after_s = moments.uniform(0.5, whole_s)
        time.sleep(after_s)
        board_a.power_cut()
        said = deploy.communicate(timeout=120)[0]
        board_a.boot()
        there = settled(board_a)
        print(said)
        print(f"cut {number} after {after_s:.1f} s: {there['current']} runs; told: {said.splitlines()[-2:]}")
        assert "Traceback" not in said
        assert there["service"] == "active"
        assert there["current"] == release_a or there["current"] in there["order"]
        assert_runs(board_a, there["current"])
        workstation.run("deploy", board_a)
        assert settled(board_a)["current"] != release_a
        board_a.power_cut()
    board_a.boot()


def test_a_power_cut_during_the_first_install_is_mended_by_the_next(bare: Container, workstation: Workstation):
    print(f"SEED={SEED}")
    moments = random.Random(SEED)
    for _ in range(max(1, POWER_CUTS // 3)):
        bare.power_cut()
        bare.boot("fresh")
        deploy = workstation.start("deploy", bare)
        time.sleep(moments.uniform(2.0, 15.0))
        bare.power_cut()
        deploy.communicate(timeout=120)
        bare.boot()
        settled(bare)
        workstation.run("deploy", bare)
        assert_answers(bare)


def test_too_full_a_disk_is_told_before_and_during(board_a: Container, release_a: str, workstation: Workstation):
    workstation.name_model("b")
    board_a.ssh("sudo sh -c 'head -c $(($(stat -f -c %a*%S /) - 20000000)) /dev/zero > /filler'; sync")
    said = workstation.run("deploy", board_a, status=1)
    assert "stop: " in said
    assert "MB free in /opt, needs" in said
    assert_runs(board_a, release_a)
    # It fills up after it was looked at: the last bytes go while the release is copied.
    board_a.ssh("sudo rm /filler")
    deploy = workstation.start("deploy", board_a)
    assert deploy.stdout
    for line in deploy.stdout:
        if "make room" in line:
            break
    board_a.ssh("sudo sh -c 'cat /dev/zero > /filler' 2>/dev/null", check=False)
    said = deploy.communicate(timeout=300)[0]
    print(said)
    board_a.ssh("sudo rm /filler")
    assert "Traceback" not in said
    if deploy.returncode:
        assert "No space left on device" in said
    assert_answers(board_a)
    workstation.run("deploy", board_a)
    current = settled(board_a)["current"]
    assert current != release_a
    assert_runs(board_a, current)


def test_a_disk_that_became_read_only_is_told(board_a: Container, release_a: str, workstation: Workstation):
    workstation.name_model("b")
    process = board_a.ssh("systemctl show -P MainPID garmentcam").stdout
    board_a.read_only()
    said = workstation.run("deploy", board_a, status=1)
    assert "stop: its disk is read-only: a worn SD card" in said
    # It goes on answering, though nothing of it can be logged, and comes back with the disk.
    assert board_a.ssh("systemctl is-active garmentcam; systemctl show -P MainPID garmentcam").stdout.split() == [
        "active",
        process.strip(),
    ]
    board_a.power_cut()
    board_a.boot()
    assert_runs(board_a, release_a)


def test_another_processor_is_refused(container: Container, workstation: Workstation):
    with Container(port=2302, personality="x86") as other:
        said = workstation.run("deploy", other, status=1)
        assert "stop: processor i686: there are packages for aarch64 and x86_64 only" in said
        assert "install the 64-bit Raspberry Pi OS" in said
        assert settled(other)["releases"] == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("printf XXXX | dd of=$(echo msgspec-*) bs=1 seek=20000 conv=notrunc status=none", "`msgspec==0."),
        ("truncate -s -40 uv-*", "the packages arrived damaged"),
    ],
    ids=["bytes changed", "end missing"],
)
def test_a_damaged_wheel_is_noticed_on_the_board(change: str, said: str, board_a: Container, release_a: str):
    """As if one had changed after it arrived: rsync compares what it has sent."""
    python, glibc = ((int(number) for number in board_a.ssh(ask).stdout.split()) for ask in VERSIONS)
    wheels = wheelhouse_for(Target(platform.machine(), tuple(python), tuple(glibc))).folder
    to = ["-e", f"ssh -F {board_a.ssh_config}", f"{wheels}/", "board:/tmp/wheels/"]
    subprocess.run(["rsync", "-r", *to], check=True)
    arrived = board_a.ssh(
        f"cd /tmp/wheels && {change} && cd /opt/garmentcam && sudo mkdir -p wheels && "
        f"sudo mv /tmp/wheels wheels/other && sudo cp -a releases/{release_a} releases/.new-copy && "
        "cd releases/.new-copy && sudo /usr/bin/python3 -B -m deploy.board prepare copy --venv other",
        check=False,
    )
    print(arrived.stderr)
    assert arrived.returncode == 1
    assert said in arrived.stderr
    assert arrived.stderr.strip().endswith("deploy again")
    assert not [name for name in settled(board_a)["venvs"] if "other" in name]
    assert_runs(board_a, release_a)


def test_a_model_that_does_not_load_is_refused(board_a: Container, release_a: str):
    make_copy(
        board_a,
        release_a,
        'head -c 5000 /dev/urandom > model/model.tflite; sed -i "s/\\"sha256\\": \\".*\\"/'
        '\\"sha256\\": \\"$(sha256sum model/model.tflite | cut -d\\  -f1)\\"/" model/model.json',
    )
    said = activate_copy(board_a)
    assert "copy is refused: it cannot answer: error: " in said
    assert f"{release_a} goes on running" in said
    assert_runs(board_a, release_a)


def test_a_model_that_answers_otherwise_is_refused(board_a: Container, release_a: str):
    make_copy(
        board_a, release_a, "sed -i s/T-shirt.top/Tmp/g\\;s/Trouser/T-shirt\\\\/top/g\\;s/Tmp/Trouser/g golden.jsonl"
    )
    said = activate_copy(board_a)
    assert "the model answers differently on this board" in said
    assert_runs(board_a, release_a)


def test_a_release_that_sees_nothing_is_taken_back(board_a: Container, release_a: str):
    make_copy(board_a, release_a, "sed -i s,synthetic://,/dev/video7, config.yaml")
    said = activate_copy(board_a)
    assert "copy is not healthy: it did not steadily answer frames within 8 s" in said
    assert "error: camera.source /dev/video7" in said
    assert f"copy did not work; {release_a} runs again" in said
    assert_runs(board_a, release_a)


def test_without_the_old_release_the_new_one_stays_and_it_is_told(board_a: Container, release_a: str):
    make_copy(board_a, release_a, "sed -i s,synthetic://,/dev/video7, config.yaml")
    board_a.ssh(f"sudo mv /opt/garmentcam/releases/{release_a} /tmp")
    said = activate_copy(board_a)
    assert "no earlier release is here to go back to" in said
    board_a.ssh(f"sudo mv /tmp/{release_a} /opt/garmentcam/releases/")


def test_files_deleted_on_the_board_are_named_and_mended(board_a: Container, release_a: str, workstation: Workstation):
    board_a.ssh(f"sudo rm -r /opt/garmentcam/releases/{release_a}; sudo systemctl kill -s KILL garmentcam; sleep 3")
    assert f"the files or packages of {release_a} are gone" in workstation.run("doctor", board_a)
    workstation.run("deploy", board_a)
    assert_runs(board_a, release_a)


def test_two_deploys_at_once_do_not_mix(
    board_a: Container, workstation: Workstation, tmp_path_factory: pytest.TempPathFactory
):
    other = Workstation(tmp_path_factory.mktemp("other"))
    workstation.name_model("b")
    other.name_model("c")
    both = [workstation.start("deploy", board_a), other.start("deploy", board_a)]
    said = [process.communicate(timeout=300)[0] for process in both]
    print("\n".join(said))
    statuses = [process.returncode for process in both]
    assert 0 in statuses
    for status, text in zip(statuses, said, strict=True):
        assert "Traceback" not in text
        if status:
            assert "another deploy is at work on this board" in text or "is being activated; wait for it" in text
    winners = {
        text.split("release ")[1].split(":")[0] for status, text in zip(statuses, said, strict=True) if not status
    }
    assert settled(board_a)["current"] in winners
    assert_answers(board_a)


@pytest.mark.parametrize("moment", ["make room", "parity"])
def test_a_lost_connection_does_no_harm(moment: str, board_a: Container, release_a: str, workstation: Workstation):
    workstation.name_model("b")
    deploy = workstation.start("deploy", board_a)
    assert deploy.stdout
    for line in deploy.stdout:
        if f": {moment}" in line:
            break
    board_a.ssh("sudo sh -c 'sleep 0.2; pkill -f sshd:.pi' >/dev/null 2>&1 &", check=False)
    said = deploy.communicate(timeout=120)[0]
    print(said)
    assert deploy.returncode == 1
    assert "Traceback" not in said
    assert "the connection was lost at: " in said
    there = settled(board_a)
    if moment == "parity":  # The activation was on its way, and is the board's own.
        assert there["current"] != release_a
    assert_runs(board_a, there["current"])
    workstation.run("deploy", board_a)
    assert settled(board_a)["current"] != release_a


def test_killed_again_and_again_it_comes_back(board_a: Container, release_a: str, workstation: Workstation):
    for _ in range(KILLS):
        up = "until test $(systemctl show -P MainPID garmentcam) != 0; do sleep 0.1; done"
        board_a.ssh(f"{up}; sudo systemctl kill -s KILL garmentcam")
    assert_runs(board_a, release_a)
    restarts = int(board_a.ssh("systemctl show -P NRestarts garmentcam").stdout)
    assert restarts >= KILLS * 0.9
    assert f"the service ended by itself and was started again {restarts} times" in workstation.run("doctor", board_a)
