"""What several tests share: the shipped model, photographs where they are, small models of every kind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHIPPED_MODEL = ROOT / "device" / "models" / "model.tflite"
sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    """50 real photographs, from the folder `photos` beside the checkout or in ../shared."""
    for folder in (ROOT / "data" / "photos", ROOT.parent / "shared" / "photos"):
        paths = sorted((folder / "images").glob("*.jpg"))[:50]
        if paths:
            return paths
    pytest.skip("needs the clothing photographs in data/photos: see README, Training")


@pytest.fixture(scope="session")
def garments() -> list[tuple[str, object]]:
    """(label, uint8 (28, 28)) of the sample that synthetic:// shows."""
    from device.cameras.synthetic import _read_sheet
    from device.labels import LABELS

    return [(LABELS[row], image) for row, images in enumerate(_read_sheet()) for image in images]


def device_command(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run `python -m device ...` as a user would; never raises."""
    command = [sys.executable, "-m", "device", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, **options)


def interpreter(version: str) -> str:
    """Path of a working python<version>, on the PATH or of pyenv; skips when there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [shutil.which(f"python{version}"), *pyenv.glob(f"versions/{version}.*/bin/python{version}")]
    for found in filter(None, candidates):
        if subprocess.run([found, "-c", "import venv"], capture_output=True, check=False).returncode == 0:
            return str(found)
    pytest.skip(f"needs python{version}")


def with_our_tools() -> dict[str, str]:
    """The environment, with this one's tools (uv) on the PATH."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
