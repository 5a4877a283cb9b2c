"""Other boards than the usual one: today's system, little memory, a Jetson Nano's wheels. Emulated; minutes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from packaging.utils import parse_wheel_filename

from board.chroot import make_chroot, run_in
from board.conftest import needs, started
from board.qemu import Board
from board.workstation import (
    SLOW_S,
    Workstation,
    assert_answers,
    assert_logs_intact,
    read_logs,
    settled,
)
from conftest import SHIPPED_MODEL
from deploy.board.selftest import EXPECTED, compare, read_answers
from deploy.config import DeployConfig
from deploy.release import make_release
from deploy.wheelhouse import Target, wheelhouse_for
from device.config import Config


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


def test_trixie_gets_the_runtime_that_it_has(trixie: Board, workstation: Workstation):
    """Debian 13: Python 3.13, for which there is LiteRT only."""
    trixie.camera("card")
    workstation.run("deploy", trixie)
    header = json.loads(next(iter(read_logs(trixie).values())).splitlines()[0])
    assert header["runtime"].startswith("litert 2")
    assert header["versions"]["python"].startswith("3.13.")
    assert_answers(trixie, SLOW_S)


def test_on_trixie_what_takes_too_much_memory_is_ended_and_started_again(trixie: Board, workstation: Workstation):
    assert "limits no memory" not in workstation.run("deploy", trixie)
    logs = read_logs(trixie)
    assert int(trixie.ssh("systemctl show -P MemoryMax garmentcam").stdout) == 400 * 2**20
    trixie.ssh("sudo systemctl set-property --runtime garmentcam MemoryMax=20M")
    deadline = time.monotonic() + SLOW_S
    while "Failed with result 'oom-kill'" not in trixie.ssh("journalctl -b -u garmentcam -o cat --no-pager").stdout:
        assert time.monotonic() < deadline
        time.sleep(2)
    assert "wrong: the service " in workstation.run("doctor", trixie)
    trixie.ssh("sudo systemctl set-property --runtime garmentcam MemoryMax=400M")
    assert_answers(trixie, SLOW_S)
    assert_logs_intact(trixie, logs)


def test_a_jetson_nanos_wheels_are_for_its_python_and_glibc():
    wheels = wheelhouse_for(Target("aarch64", (3, 8), (2, 27)))
    names = [path.name for path in wheels.folder.glob("*.whl")]
    assert len(names) == wheels.wheels + 1  # The installer is there too.
    assert any(name.startswith("tflite_runtime-2.13.0-cp38") for name in names)
    for name in names:
        platforms = {tag.platform for tag in parse_wheel_filename(name)[3]}
        needed = [re.match(r"manylinux(?:2014|_(\d+)_(\d+))_aarch64", platform) for platform in platforms]
        glibcs = [(int(match[1] or 2), int(match[2] or 17)) for match in needed if match]
        assert platforms == {"any"} or min(glibcs) <= (2, 27), name


def test_wheels_of_a_jetson_nanos_age_install_and_answer(tmp_path: Path):
    """On Debian 11, the oldest that there still is: Python 3.9, glibc 2.31, and the same runtime as for the Nano."""
    needs("qemu-aarch64-static", "mmdebstrap")
    cache = Board("bullseye-arm64").image
    make_chroot("bullseye", cache / "root")
    root = tmp_path / "root"
    subprocess.run(["cp", "-a", cache / "root", root], check=True)
    target = Target("aarch64", (3, 9), (2, 31))
    assert run_in(root, "python3 -c 'import sys; print(*sys.version_info[:2])'").split() == ["3", "9"]
    wheels = wheelhouse_for(target)
    release = make_release(tmp_path / "release", Config(), DeployConfig(), "", SHIPPED_MODEL)
    board = root / "opt" / "garmentcam"
    shutil.copytree(release.folder, board / "releases" / f".new-{release.id}")
    shutil.copytree(wheels.folder, board / "wheels" / "key")

    arrived, there = (f"cd /opt/garmentcam/releases/{name}" for name in (f".new-{release.id}", release.id))
    run_in(root, f"{arrived}; python3 -B -m deploy.board prepare {release.id} --venv key")
    answers = run_in(
        root, f"{there}; venv/bin/python -m device classify --json --model model/model.tflite golden/*.png"
    )
    problem, difference = compare(read_answers((release.folder / EXPECTED).read_text()), read_answers(answers))
    print(f"largest difference {difference:.4f}")
    assert problem is None
    run_in(root, f"{there}; venv/bin/python -m device run --model model/model.tflite --frames 20 --log /tmp/logs")
    header = json.loads(next((root / "tmp" / "logs").glob("*.jsonl")).read_text().splitlines()[0])
    assert header["runtime"].startswith("tflite-runtime 2.13")
