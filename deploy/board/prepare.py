"""Makes what has arrived whole: checks the files, installs the packages offline, gives the release its name.

Nothing that runs is touched. Whatever is cut off is left under a name that starts with `.new-`, and done again.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Optional

from deploy.board.files import sync_folder
from deploy.board.layout import PARTIAL, Layout, Release

IMPORTS = """
import numpy, cv2, yaml, msgspec, typing_extensions
from device.runtime import import_runtime
import_runtime("auto")
"""
"""What the service imports: proof that the wheels fit this board, and their bytecode is kept for it."""


class PrepareError(Exception):
    """Something that arrived cannot be used; the message says what to do."""


def prepare(layout: Layout, release_id: str, venv_key: str, system_packages: bool) -> None:
    """Make releases/.new-ID the release ID, with its packages. Raises PrepareError."""
    arrived = Release(layout.releases / f"{PARTIAL}{release_id}")
    damaged = arrived.damage()
    if damaged:
        raise PrepareError(f"release {release_id} arrived damaged ({', '.join(damaged[:3])}); deploy it again")
    venv = layout.venvs / venv_key
    if not venv.exists():
        _install(layout, arrived, venv, system_packages)
    link = arrived.path / "venv"
    if link.is_symlink():
        link.unlink()
    os.symlink(os.path.relpath(venv, arrived.path), link)
    _run(arrived.python, "-m", "compileall", "-q", "device", cwd=arrived.path)
    final = layout.release(release_id).path
    if final.exists():  # Damaged, or without packages: else the workstation had not sent it.
        shutil.rmtree(final)
    os.sync()
    os.rename(arrived.path, final)
    sync_folder(layout.releases)


def _install(layout: Layout, release: Release, venv: Path, system_packages: bool) -> None:
    wheels = layout.wheels / venv.name
    new = layout.venvs / f"{PARTIAL}{venv.name}"
    shutil.rmtree(new, ignore_errors=True)
    layout.venvs.mkdir(exist_ok=True)
    uv = _unpack_uv(wheels)
    # The OS's own picamera2 is for the OS's Python, and is seen through this option only.
    beside = ["--system-site-packages"] if system_packages else []
    _run(uv, "venv", "--quiet", "--no-config", "--python", sys.executable, *beside, new)
    try:
        _run(
            *(uv, "pip", "install", "--quiet", "--no-config", "--offline", "--no-index", "--no-cache"),
            *("--require-hashes", "--requirement", wheels / "requirements.txt"),
            *("--find-links", wheels, "--python", new / "bin" / "python"),
        )
        _run(new / "bin" / "python", "-c", IMPORTS, cwd=release.path)
    except PrepareError:
        # A damaged wheel must not be taken for one that is already here.
        shutil.rmtree(wheels, ignore_errors=True)
        raise
    os.sync()
    os.rename(new, venv)
    sync_folder(layout.venvs)
    shutil.rmtree(wheels, ignore_errors=True)


def _unpack_uv(wheels: Path) -> Path:
    """The installer: one static program inside its wheel."""
    try:
        with zipfile.ZipFile(next(wheels.glob("uv-*.whl"))) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
            program = wheels / "uv"
            program.write_bytes(archive.read(name))
    except (StopIteration, zipfile.BadZipFile, EOFError) as error:
        shutil.rmtree(wheels, ignore_errors=True)
        raise PrepareError(f"the packages arrived damaged ({error!r}); deploy again") from None
    program.chmod(0o755)
    return program


def _run(*words: object, cwd: Optional[Path] = None) -> None:
    done = subprocess.run(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
        cwd=cwd,
    )
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        problem = " ".join(lines[-4:]) or f"status {done.returncode}"
        raise PrepareError(f"{words[0]} {words[1]}: {problem}; deploy again")
