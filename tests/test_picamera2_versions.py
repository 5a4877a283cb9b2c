"""`csi://0` with the strides of a Pi 5, and with the oldest picamera2 that it supports, on that one's numpy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, interpreter, with_our_tools
from device.cameras.picamera2 import OLDEST

# What the tests of the adapter import, as Raspberry Pi OS of Debian 12 has it; picamera2 itself needs no more here.
OLDEST_PACKAGES = ["numpy==1.24.4", "opencv-python-headless==4.11.0.86", "msgspec", "pyyaml"]
OLDEST_PACKAGES += [
    "tflite-runtime==2.14.0",
    "typing_extensions",
    "pytest",
    "pillow",
    "piexif",
    "simplejpeg==1.8.2",
    "videodev2",
]
TESTS = [
    "tests/test_picamera2.py",
    "tests/test_camera_contract.py",
    "-k",
    "picamera2 or csi",
    "-q",
    "-p",
    "no:cacheprovider",
]


def run_tests(python: Path | str, platform: str) -> None:
    done = subprocess.run(
        [python, "-m", "pytest", *TESTS],
        cwd=ROOT, env={**os.environ, "FAKEPI_PLATFORM": platform}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    assert "skipped" not in done.stdout.splitlines()[-1], done.stdout[-2000:]


def test_the_newest_on_a_pi_5():
    pytest.importorskip("simplejpeg", reason="needs picamera2: make test")
    run_tests(sys.executable, "pisp")


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the oldest picamera2."""
    folder = tmp_path_factory.mktemp("oldest")
    python = folder / "bin" / "python"
    subprocess.run(["uv", "venv", "-q", "-p", interpreter("3.11"), folder], check=True, env=with_our_tools())
    for packages in (OLDEST_PACKAGES, ["--no-deps", f"picamera2=={OLDEST}"]):
        install = ["uv", "pip", "install", "-q", "-p", python, *packages]
        done = subprocess.run(install, capture_output=True, text=True, check=False, env=with_our_tools())
        assert done.returncode == 0, done.stderr
    return python


@pytest.mark.parametrize("platform", ["vc4", "pisp"])
def test_the_oldest(oldest: Path, platform: str):
    run_tests(oldest, platform)
