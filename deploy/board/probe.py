"""Prints, as one JSON object, all that a deploy must know of a board. Changes nothing.

Sent through `python3 -` before anything of ours is there, so it imports nothing of ours. Run as root where sudo allows
it, else some things (who holds the camera) stay unknown, and are null.
"""

import glob
import grp
import importlib
import json
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import time
from typing import Any, Dict, List, Optional, Tuple

ROOT = "/opt/garmentcam"
STATE = "/var/lib/garmentcam"
UNIT = "garmentcam.service"


def read(path: str) -> str:
    """The file's text without NULs and blank ends, "" when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().replace("\0", "").strip()
    except OSError:
        return ""


def run(*words: str) -> str:
    """What a command prints, "" when it fails or is not there."""
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""


def pairs(text: str) -> Dict[str, str]:
    """KEY=value lines as a dict, quotes removed."""
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in text.splitlines())}


def memory() -> Tuple[int, int]:
    """MiB: (all of it, what is available)."""
    found = dict(re.findall(r"^(\w+): +(\d+) kB", read("/proc/meminfo"), re.MULTILINE))
    return int(found.get("MemTotal", 0)) // 1024, int(found.get("MemAvailable", 0)) // 1024


def free_mb(path: str) -> int:
    """MiB free where `path` is, or will be, for everybody: the service is not root."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    free = os.statvfs(path)
    return free.f_bavail * free.f_frsize // 2**20


def read_only() -> str:
    """Is the root file system mounted read-only, or only in memory (an overlay)?"""
    mounts = [line.split() for line in read("/proc/mounts").splitlines()]
    roots = [(fields[2], fields[3].split(",")) for fields in mounts if fields[1] == "/"]
    kind, options = roots[-1] if roots else ("", [])
    # Since Linux 6.14 a damaged file system stays "rw", and says in another word that it takes nothing any more.
    return "ro" if {"ro", "emergency_ro"} & set(options) else "overlay" if kind == "overlay" else ""


def can_have_packages() -> bool:
    """Is all there that uv needs of this Python? Debian packages distutils separately."""
    try:
        return sys.version_info >= (3, 10) or bool(importlib.import_module("distutils.command.install"))
    except ImportError:
        return False


def cameras() -> List[Dict[str, Any]]:
    """Video devices that can capture, with the group that may use them."""
    found = []
    for path in sorted(glob.glob("/dev/video*")):
        name = read(f"/sys/class/video4linux/{os.path.basename(path)}/name")
        info = os.stat(path)
        try:
            group = grp.getgrgid(info.st_gid).gr_name
        except KeyError:
            group = str(info.st_gid)
        found.append({"path": path, "name": name, "group": group, "group_rw": bool(info.st_mode & stat.S_IRGRP)})
    return found


def camera_holders(source: str) -> Optional[List[str]]:
    """Who has the camera open, other than our own service: "name (pid N, unit U)". None when not allowed to look.

    Of a source that is a path, that device; else any that a Pi's camera may be.
    """
    devices = re.escape(os.path.realpath(source)) if source.startswith("/dev/") else r"/dev/(video|media)\d+"
    if os.geteuid():
        return None
    found = []
    for folder in glob.glob("/proc/[0-9]*/fd"):
        try:
            targets = [os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]
        except OSError:
            continue
        if any(re.match(devices + "$", target) for target in targets):
            pid = folder.split("/")[2]
            units = re.findall(r"([^/\s]+\.service)", read(f"/proc/{pid}/cgroup"))
            if UNIT not in units:
                unit = f", unit {units[-1]}" if units else ""
                found.append("{} (pid {}{})".format(read(f"/proc/{pid}/comm"), pid, unit))
    return found


def installed() -> Dict[str, Any]:
    """What of ours is there."""

    def link(name: str) -> str:
        path = os.path.join(ROOT, name)
        return os.path.basename(os.readlink(path)) if os.path.islink(path) else ""

    def names(pattern: str) -> List[str]:
        return sorted(os.path.basename(path) for path in glob.glob(os.path.join(ROOT, pattern)))

    whole = [
        name for name in names("releases/*") if os.path.exists(os.path.join(ROOT, "releases", name, "venv/bin/python"))
    ]
    made_of = {}
    for name in whole:
        try:
            made_of[name] = json.loads(read(os.path.join(ROOT, "releases", name, "manifest.json")))["made_of"]
        except (ValueError, KeyError):
            made_of[name] = "?"
    show = pairs(run("systemctl", "show", UNIT, "-p", "ActiveState", "-p", "NRestarts"))
    activation = pairs(run("systemctl", "show", "garmentcam-activate.service", "-p", "ActiveState"))
    logs = glob.glob(os.path.join(STATE, "logs", "*.jsonl"))
    return {
        "current": link("current"),
        "pending": link("pending"),
        "activating": activation.get("ActiveState") == "activating",
        "order": [name for name in read(os.path.join(ROOT, "order")).split() if name in whole],
        "releases": made_of,
        "venvs": names("venvs/*"),
        "service": show.get("ActiveState", "unknown"),
        "restarts": int(show.get("NRestarts") or 0),
        "logs": len(logs),
        "log_bytes": sum(os.path.getsize(path) for path in logs),
        "newest_log_age_s": round(time.time() - max(map(os.path.getmtime, logs)), 1) if logs else None,
        "last_words": run("journalctl", "-u", UNIT, "-n", "5", "-o", "cat", "--no-pager", "-t", "garmentcam"),
    }


def main() -> None:
    """Print the facts. Argument: camera.source, whose path is looked for."""
    source = sys.argv[1] if len(sys.argv) > 1 else ""
    release = pairs(read("/etc/os-release"))
    total_mb, available_mb = memory()
    throttled = read("/sys/devices/platform/soc/soc:firmware/get_throttled") or run("vcgencmd", "get_throttled")
    limits = read("/sys/fs/cgroup/cgroup.controllers") or read("/proc/self/cgroup")
    facts = {
        "machine": platform.machine(),
        "model": read("/proc/device-tree/model"),
        "os": release.get("PRETTY_NAME", ""),
        "python": list(sys.version_info[:2]),
        "python_path": sys.executable,
        "can_have_packages": can_have_packages(),
        "glibc": [int(part) for part in (platform.libc_ver()[1] or "0.0").split(".")[:2]],
        "systemd": int((re.findall(r"systemd (\d+)", run("systemctl", "--version")) or ["0"])[0]),
        "root": os.geteuid() == 0,
        "sudo": bool(shutil.which("sudo")),
        "rsync": bool(shutil.which("rsync")),
        "read_only": read_only(),
        "free_mb": free_mb(ROOT),
        "memory_mb": total_mb,
        "available_mb": available_mb,
        "memory_limits": bool(re.search(r"\bmemory\b", limits)),
        "utc_s": time.time(),
        "groups": sorted(group.gr_name for group in grp.getgrall()),
        "cameras": cameras(),
        "camera_holders": camera_holders(source),
        "source_there": os.path.exists(source) if source.startswith("/") else None,
        "picamera2": run("dpkg-query", "-W", "-f", "${Version}", "python3-picamera2"),
        "throttled": int(throttled.split("=")[-1], 16) if throttled else None,
        "installed": installed(),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
