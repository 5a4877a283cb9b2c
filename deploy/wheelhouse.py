"""The wheels that a board needs, fetched here, so that the board itself needs no internet.

The lock files carry hashes and the packages of every Python; for one board those are picked whose markers hold there.
pip does not do that (it asks the markers of the Python that it runs in), so each picked pin is named to it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
from packaging.requirements import Requirement

from deploy.board.files import sha256
from deploy.errors import DeployError

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "garmentcam"


class Target(msgspec.Struct, frozen=True):
    """What decides which wheels fit. python and glibc: (major, minor)."""

    machine: str
    python: tuple[int, int]
    glibc: tuple[int, int]

    @property
    def lock(self) -> Path:
        """The lock file for this Python."""
        return ROOT / "requirements" / ("device.txt" if self.python >= (3, 10) else "device-py38.txt")

    def __str__(self) -> str:
        python, glibc = (".".join(map(str, version)) for version in (self.python, self.glibc))
        return f"{self.machine}-python{python}-glibc{glibc}"


class Pin(msgspec.Struct, frozen=True):
    """One line of a lock: a package at one version, and the hashes of its files."""

    requirement: str
    hashes: tuple[str, ...]


class Wheelhouse(msgspec.Struct, frozen=True):
    """A folder with wheels, that of uv among them, and requirements.txt. key: names the packages made of it.

    uv installs on a board in a quarter of pip's time.
    """

    key: str
    folder: Path
    size_bytes: int
    wheels: int


def pins_for(lock: str, target: Target) -> list[Pin]:
    """The pins of a lock file's text whose markers hold for `target`."""
    python = ".".join(map(str, target.python))
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.99",  # Locks divide at minor versions only.
        "sys_platform": "linux",
        "os_name": "posix",
        "platform_system": "Linux",
        "platform_machine": target.machine,
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    pins = []
    for entry in lock.replace("\\\n", " ").splitlines():
        words = entry.split("#")[0].split("--hash=")
        if not words[0].strip():
            continue
        requirement = Requirement(words[0].strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            hashes = tuple(word.strip() for word in words[1:])
            pins.append(Pin(f"{requirement.name}{requirement.specifier}", hashes))
    return pins


def uv_pin() -> Pin:
    """The installer that the workstation's own lock names."""
    target = Target("x86_64", (3, 12), (2, 36))
    pins = pins_for((ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8"), target)
    return next(pin for pin in pins if pin.requirement.startswith("uv=="))


def wheelhouse_for(target: Target, cache: Path = CACHE) -> Wheelhouse:
    """The wheelhouse of a target, from the cache where it is whole, else downloaded. Raises DeployError."""
    pins = pins_for(target.lock.read_text(encoding="utf-8"), target)
    uv = uv_pin()
    text = "".join(map(_line, pins))
    key = hashlib.sha256(f"{target}\n{text}".encode()).hexdigest()[:12]
    folder = cache / f"wheels-{target}-{key}"
    if not _is_whole(folder, [*pins, uv]):
        new = folder.with_name(f".new-{folder.name}")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        for name, content in (("requirements.txt", text), ("uv.txt", _line(uv))):
            (new / name).write_text(content, encoding="utf-8")
            _download(new, new / name, target)
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    sizes = [path.stat().st_size for path in folder.iterdir()]
    return Wheelhouse(key, folder, sum(sizes), len(pins))


def _line(pin: Pin) -> str:
    return f"{pin.requirement} {' '.join(f'--hash={value}' for value in pin.hashes)}\n"


def _is_whole(folder: Path, pins: list[Pin]) -> bool:
    """Every wheel is there and is the one that was locked."""
    wheels = list(folder.glob("*.whl"))
    known = {value for pin in pins for value in pin.hashes}
    intact = all(f"sha256:{sha256(wheel)}" in known for wheel in wheels)
    return intact and len(wheels) == len(pins)


def _download(folder: Path, requirements: Path, target: Target) -> None:
    platforms = [f"manylinux_2_{minor}" for minor in range(target.glibc[1], 4, -1)]
    # pip takes the first that fits; for uv manylinux2014 must be it, which names the one without glibc.
    platforms = ["manylinux2014", *platforms]
    python = "".join(map(str, target.python))
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    words += ["--require-hashes", "--only-binary=:all:", "--dest", str(folder), "--requirement", str(requirements)]
    words += ["--implementation=cp", f"--python-version={python}"]
    words += [f"--abi={abi}" for abi in (f"cp{python}", "abi3", "none")]
    words += [f"--platform={platform}_{target.machine}" for platform in platforms]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        problems = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        problem = problems[-1] if problems else done.stderr[-300:]
        raise DeployError(
            f"packages for {target}: {problem.removeprefix('ERROR: ')}; this computer must reach the package index "
            f"once, and every package of {requirements.name} must have a wheel for that board"
        )
