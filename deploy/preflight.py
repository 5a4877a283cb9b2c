"""Facts of a board -> what speaks against deploying to it, all at once, each with its remedy. Pure."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Iterator, Literal

import msgspec

from deploy.facts import Facts

MACHINES = ("aarch64", "x86_64")
LEAST_GLIBC = (2, 27)
LEAST_SYSTEMD = 237
SERVICE_MB = 200
"""Memory that the service needs, with some air."""
CLOCK_TOLERANCE_S = 300


class Needs(msgspec.Struct, frozen=True):
    """What a deploy asks of a board. disk_mb: to arrive, be installed and log. now_s: the time here, Unix."""

    source: str
    disk_mb: int
    memory_mb: int
    now_s: float


class Finding(msgspec.Struct, frozen=True):
    """One thing. level: "stop", the board gets nothing; "note", good to know."""

    level: Literal["stop", "note"]
    text: str


def findings(facts: Facts, needs: Needs) -> list[Finding]:
    """Everything at once, what stops first."""
    found = [*_system(facts), *_room(facts, needs), *_camera(facts, needs), *_condition(facts, needs)]
    return sorted(found, key=lambda finding: finding.level, reverse=True)


def _stop(text: str) -> Finding:
    return Finding("stop", text)


def _note(text: str) -> Finding:
    return Finding("note", text)


def _system(facts: Facts) -> Iterator[Finding]:
    if facts.machine not in MACHINES:
        yield _stop(
            f"processor {facts.machine}: there are packages for {' and '.join(MACHINES)} only; "
            "on a Raspberry Pi 3 or newer install the 64-bit Raspberry Pi OS"
        )
    if facts.glibc < LEAST_GLIBC:
        found, least = (".".join(map(str, version)) for version in (facts.glibc, LEAST_GLIBC))
        yield _stop(f"{facts.os or 'operating system'}: glibc {found}, needs {least}; install a newer one")
    if facts.systemd < LEAST_SYSTEMD:
        yield _stop(
            f"systemd {facts.systemd or 'is missing'}: needs {LEAST_SYSTEMD} or newer, as every Debian since 10 has"
        )
    if not facts.sudo:
        yield _stop("sudo is missing: as root on the board, `apt install sudo`, and let your user use it")
    elif not facts.root:
        yield _stop(
            'sudo asks for a password: on the board, `echo "$USER ALL=(ALL) NOPASSWD: ALL" | '
            "sudo tee /etc/sudoers.d/010_$USER`, or log in as root"
        )
    if not facts.can_have_packages:
        yield _stop("Python's distutils is missing: on the board, `sudo apt install python3-distutils`")
    if not facts.rsync:
        yield _stop("rsync is missing: on the board, `sudo apt install rsync`")
    if "video" not in facts.groups:
        yield _stop("there is no group video, which may use cameras: on the board, `sudo groupadd --system video`")


def _room(facts: Facts, needs: Needs) -> Iterator[Finding]:
    if facts.read_only == "ro":
        yield _stop(
            "its disk is read-only: a worn SD card or a damaged file system (`sudo dmesg | grep -i ext4`); "
            "`sudo mount -o remount,rw /`, or a new card"
        )
    if facts.read_only == "overlay":
        yield _stop(
            "its disk is an overlay, which forgets at power-off: `sudo raspi-config`, Performance, Overlay: off"
        )
    if facts.free_mb < needs.disk_mb:
        yield _stop(
            f"{facts.free_mb} MB free in /opt, needs {needs.disk_mb} MB: `sudo apt clean`, "
            "`sudo journalctl --vacuum-size=50M`, or a larger card"
        )
    running = facts.installed.service == "active"
    if not running and facts.available_mb < SERVICE_MB:
        yield _stop(
            f"{facts.available_mb} MB of memory available of {facts.memory_mb}, needs {SERVICE_MB} MB: "
            "stop other services (the desktop: `sudo systemctl set-default multi-user.target`)"
        )
    if not facts.memory_limits:
        yield _note(
            f"the kernel limits no memory, so the limit of {needs.memory_mb} MB does nothing: "
            "add cgroup_enable=memory to /boot/firmware/cmdline.txt"
        )


def _camera(facts: Facts, needs: Needs) -> Iterator[Finding]:
    source = needs.source
    if source == "synthetic://":
        yield _note("camera.source is synthetic://: it will see made-up garments; set camera.source in config.yaml")
    if facts.source_there is False:
        there = ", ".join(camera.path for camera in facts.cameras) or "no camera at all"
        yield _stop(
            f"camera.source {source} is not there ({there} is): plug it in, or set camera.source in config.yaml"
        )
    if source.startswith("csi://") and not facts.cameras:
        yield _stop(
            "no camera is there: check the ribbon cable with the power off; `rpicam-hello --list-cameras` lists it"
        )
    if source.startswith("csi://") and facts.model.startswith("Raspberry") and not facts.picamera2:
        yield _stop("picamera2 is missing: on the board, `sudo apt install --no-install-recommends python3-picamera2`")
    for camera in facts.cameras:
        if camera.path == source and (camera.group, camera.group_rw) != ("video", True):
            yield _stop(
                f"{source} is not for the group video (it is {camera.group}'s): a udev rule took it away; "
                "`ls /etc/udev/rules.d` and restart"
            )
    holders = f"the camera is in use by {', '.join(facts.camera_holders or ())}"
    if facts.camera_holders and source.startswith("/dev/"):
        yield _stop(f"{holders}, and two programs cannot have it: `sudo systemctl disable --now NAME`")
    if facts.camera_holders and source.startswith("csi://"):  # A desktop's sound server looks at it, and lets go.
        yield _note(f"{holders}: if no frames come, `sudo systemctl disable --now NAME`")


def _condition(facts: Facts, needs: Needs) -> Iterator[Finding]:
    behind_s = needs.now_s - facts.utc_s
    if abs(behind_s) > CLOCK_TOLERANCE_S:
        there = datetime.fromtimestamp(facts.utc_s, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        yield _note(
            f"its clock says {there}: latencies are right all the same, the dates of logs are not; "
            "`sudo timedatectl set-ntp true`, or set it by hand"
        )
    if facts.throttled is not None and facts.throttled & 0xF:
        names = ("under-voltage", "clock capped", "throttled", "hot")
        now = ", ".join(name for bit, name in enumerate(names) if facts.throttled >> bit & 1)
        yield _note(f"{now} right now: a better power supply or cooling makes it faster")
    elif facts.throttled:
        yield _note("it was throttled since it was switched on: check the power supply and the cooling")
