"""Facts of boards, as the probe recorded them, and what a deploy makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy.facts import CameraDevice, Facts, Installed
from deploy.preflight import Needs, findings

RECORDED = Path(__file__).with_name("recorded") / "board-bookworm.json"
"""Of the virtual board with its camera: `python3 - /dev/video0 < deploy/board/probe.py`, 2026-11-24."""


@pytest.fixture
def facts() -> Facts:
    return msgspec.json.decode(RECORDED.read_bytes(), type=Facts)


@pytest.fixture
def needs(facts: Facts) -> Needs:
    return Needs(source="/dev/video0", disk_mb=400, memory_mb=400, now_s=facts.utc_s + 2)


def texts(facts: Facts, needs: Needs, level: str) -> list[str]:
    return [finding.text for finding in findings(facts, needs) if finding.level == level]


def test_the_recorded_board_is_ready(facts: Facts, needs: Needs):
    assert texts(facts, needs, "stop") == []
    assert texts(facts, needs, "note") == [
        "the kernel limits no memory, so the limit of 400 MB does nothing: "
        "add cgroup_enable=memory to /boot/firmware/cmdline.txt"
    ]
    assert str(facts.target) == "aarch64-python3.11-glibc2.36"


@pytest.mark.parametrize(
    ("changed", "says", "remedy"),
    [
        ({"machine": "armv7l"}, "processor armv7l", "install the 64-bit Raspberry Pi OS"),
        ({"glibc": (2, 19)}, "glibc 2.19, needs 2.27", "install a newer one"),
        ({"glibc": (0, 0)}, "glibc 0.0", "install a newer one"),
        ({"systemd": 0}, "systemd is missing", "every Debian since 10"),
        ({"root": False}, "sudo asks for a password", "NOPASSWD"),
        ({"sudo": False}, "sudo is missing", "apt install sudo"),
        ({"rsync": False}, "rsync is missing", "apt install rsync"),
        ({"can_have_packages": False}, "distutils is missing", "apt install python3-distutils"),
        ({"groups": ("pi",)}, "no group video", "groupadd"),
        ({"read_only": "ro"}, "read-only", "remount,rw"),
        ({"read_only": "overlay"}, "overlay", "raspi-config"),
        ({"free_mb": 399}, "399 MB free in /opt, needs 400 MB", "apt clean"),
        ({"available_mb": 120}, "120 MB of memory available", "stop other services"),
        ({"source_there": False, "cameras": ()}, "/dev/video0 is not there (no camera at all is)", "plug it in"),
        ({"camera_holders": ("motion (pid 512, unit motion.service)",)}, "in use by motion (pid 512", "disable --now"),
        ({"cameras": (CameraDevice("/dev/video0", "cam", "root", False),)}, "is not for the group video", "udev"),
    ],
)
def test_what_stops_a_deploy(facts: Facts, needs: Needs, changed: dict[str, Any], says: str, remedy: str):
    (text,) = texts(msgspec.structs.replace(facts, **changed), needs, "stop")
    assert says in text
    assert remedy in text


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"utc_s": 12.0}, "its clock says 1970-01-01 00:00 UTC: latencies are right all the same"),
        ({"throttled": 0x50005}, "under-voltage, throttled right now"),
        ({"throttled": 0x50000}, "it was throttled since it was switched on"),
    ],
)
def test_what_is_only_noted(facts: Facts, needs: Needs, changed: dict[str, Any], says: str):
    changed_facts = msgspec.structs.replace(facts, **changed, memory_limits=True)
    (text,) = texts(changed_facts, needs, "note")
    assert says in text
    assert not texts(changed_facts, needs, "stop")


def test_a_pi_camera_needs_picamera2_and_a_device(facts: Facts, needs: Needs):
    pi = msgspec.structs.replace(facts, model="Raspberry Pi 4 Model B Rev 1.4", cameras=(), source_there=None)
    csi = msgspec.structs.replace(needs, source="csi://0")
    first, second = texts(pi, csi, "stop")
    assert "ribbon cable" in first
    assert "apt install --no-install-recommends python3-picamera2" in second
    assert not texts(msgspec.structs.replace(pi, picamera2="0.3.34", cameras=facts.cameras), csi, "stop")


def test_everything_is_found_at_once_and_what_stops_comes_first(facts: Facts, needs: Needs):
    bad = msgspec.structs.replace(facts, machine="armv7l", free_mb=1, rsync=False, utc_s=0.0, source_there=False)
    levels = [finding.level for finding in findings(bad, needs)]
    assert levels == ["stop"] * 4 + ["note"] * 2


def test_memory_that_our_own_service_holds_is_not_missed(facts: Facts, needs: Needs):
    busy = msgspec.structs.replace(facts, available_mb=120, installed=Installed(current="a", service="active"))
    assert not texts(busy, needs, "stop")


def test_made_up_garments_and_a_camera_of_somebody_else_are_no_obstacle(facts: Facts, needs: Needs):
    synthetic = msgspec.structs.replace(needs, source="synthetic://")
    busy = msgspec.structs.replace(facts, source_there=None, camera_holders=("motion (pid 5)",))
    assert not texts(busy, synthetic, "stop")
    assert any("made-up garments" in text for text in texts(busy, synthetic, "note"))
