"""device/ on every Python that a board may have, with that Python's numpy and runtime."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from conftest import ROOT, interpreter, with_our_tools

EXPECTED = {
    "3.8": ("device-py38.txt", "numpy 1.24", "tflite-runtime 2.13"),
    "3.9": ("device-py38.txt", "numpy 1.26", "tflite-runtime 2.13"),
    "3.10": ("device.txt", "numpy 1.26", "tflite-runtime 2.14"),
    "3.11": ("device.txt", "numpy 1.26", "tflite-runtime 2.14"),
    "3.12": ("device.txt", "numpy 2", "litert 2"),
    "3.13": ("device.txt", "numpy 2", "litert 2"),
}


@pytest.mark.parametrize("version", EXPECTED)
def test_the_loop_and_classify_run(version: str, tmp_path: Path, garments):
    lock, numpy_version, runtime = EXPECTED[version]
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        ["uv", "venv", "-q", "-p", interpreter(version), tmp_path / "venv"], check=True, env=with_our_tools()
    )
    install = ["uv", "pip", "install", "-q", "-p", python, "--require-hashes", "-r", ROOT / "requirements" / lock]
    done = subprocess.run(install, capture_output=True, text=True, check=False, env=with_our_tools())
    assert done.returncode == 0, done.stderr

    everything = "import importlib, pkgutil, device\nfor m in pkgutil.walk_packages(device.__path__, 'device.'):"
    imports = f"{everything}\n    if not m.name.endswith('__main__'): importlib.import_module(m.name)"
    subprocess.run([python, "-W", "error::DeprecationWarning:device", "-c", imports], cwd=ROOT, check=True)

    command = [python, "-W", "error::DeprecationWarning:device", "-m", "device"]
    picture = tmp_path / "answer.png"
    run = subprocess.run(
        [*command, "run", "--frames", "60", "--as-fast-as-possible", "--log", tmp_path, "--picture", picture],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    header = json.loads(next(tmp_path.glob("*.jsonl")).read_text().splitlines()[0])
    assert header["versions"]["python"].startswith(version + ".")
    assert f"numpy {header['versions']['numpy']}".startswith(numpy_version)
    assert header["runtime"].startswith(runtime)

    trousers = tmp_path / "trousers.png"
    looks = 255 - next(image for label, image in garments if label == "Trouser")
    cv2.imwrite(str(trousers), cv2.resize(looks, (420, 420), interpolation=cv2.INTER_CUBIC))
    classify = ["classify", "--json", trousers]
    here = subprocess.run([sys.executable, "-m", "device", *classify], cwd=ROOT, capture_output=True, check=True)
    there = subprocess.run([*command, *classify], cwd=ROOT, capture_output=True, check=True)
    ours, theirs = json.loads(here.stdout), json.loads(there.stdout)
    # The runtimes round int8 differently, by a few steps of a logit (training.gate), which moves a score by hundredths.
    assert theirs["label"] == ours["label"]
    assert theirs["scores"] == pytest.approx(ours["scores"], abs=0.05)
