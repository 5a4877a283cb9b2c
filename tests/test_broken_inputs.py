"""200 broken inputs, made by damaging good ones: never a traceback, never a crash.

Each case runs the command line's own `main`, in a child process for each batch so that a crash from inside
a decoder or a runtime would show.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import ROOT, SHIPPED_MODEL, device_command

CASES_A_KIND = 50

# Runs each command line in turn; prints one JSON line each: exit status and what was said.
RUNNER = """
import contextlib, io, json, sys, traceback
from device.cli import main
for line in sys.stdin:
    arguments, out, err = json.loads(line), io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as leaving:
            status = leaving.code
        except BaseException:
            status = traceback.format_exc()
    sys.__stdout__.write(json.dumps([status, err.getvalue()]) + "\\n")
    sys.__stdout__.flush()
"""


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut, flip, insert, repeat or swap some of it."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(data))) if data else 0
        length = int(rng.integers(1, max(2, len(data) // 4)))
        kind = rng.integers(5)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            for place in rng.integers(0, max(1, len(data)), 8):
                data[place : place + 1] = bytes([rng.integers(256)])
        elif kind == 3:
            data[at:at] = rng.integers(0, 256, min(length, 64), np.uint8).tobytes()
        else:
            data[at:at] = data[at : at + length]
    return bytes(data)


def run_all(commands: list[list[str]]) -> list[tuple[object, str]]:
    lines = "".join(json.dumps(command) + "\n" for command in commands)
    done = subprocess.run(
        [sys.executable, "-c", RUNNER], cwd=ROOT, input=lines, capture_output=True, text=True, check=False, timeout=300
    )
    answers = [tuple(json.loads(line)) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(answers) == len(commands), (
        f"the process died on {commands[len(answers)]}: {done.returncode} {done.stderr}"
    )
    return answers


def good_image(folder: Path) -> list[bytes]:
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    return [cv2.imencode(suffix, frame)[1].tobytes() for suffix in (".jpg", ".png", ".bmp", ".webp", ".tif")]


def good_log(folder: Path) -> list[bytes]:
    device_command("run", "--source", "synthetic://", "--frames", 30, "--as-fast-as-possible", "--log", folder / "logs")
    return [next((folder / "logs").glob("*.jsonl")).read_bytes()]


@pytest.mark.parametrize("kind", ["image", "config", "model", "card", "log"])
def test_no_damage_brings_a_traceback_or_a_crash(kind: str, tmp_path: Path):
    rng = np.random.default_rng(2026)
    originals = {
        "image": lambda: good_image(tmp_path),
        "config": lambda: [(ROOT / "config.yaml").read_bytes()],
        "model": lambda: [SHIPPED_MODEL.read_bytes()],
        "card": lambda: [SHIPPED_MODEL.with_suffix(".json").read_bytes()],
        "log": lambda: good_log(tmp_path),
    }[kind]()
    image = tmp_path / "good.png"
    cv2.imwrite(str(image), np.full((60, 80, 3), 200, np.uint8))
    commands = []
    for number in range(CASES_A_KIND):
        folder = tmp_path / str(number)
        folder.mkdir()
        broken = damage(originals[number % len(originals)], rng)
        if kind == "image":
            (folder / "a.png").write_bytes(broken)
            commands.append(["classify", "--json", str(folder / "a.png")])
        elif kind == "config":
            (folder / "config.yaml").write_bytes(broken)
            commands.append(
                [
                    "classify",
                    "--json",
                    "--config",
                    str(folder / "config.yaml"),
                    "--model",
                    str(SHIPPED_MODEL),
                    str(image),
                ]
            )
        elif kind == "log":
            (folder / "a.jsonl").write_bytes(broken)
            commands.append(["report", "--json", str(folder / "a.jsonl")])
        else:
            model = broken if kind == "model" else SHIPPED_MODEL.read_bytes()
            card = broken if kind == "card" else SHIPPED_MODEL.with_suffix(".json").read_bytes()
            (folder / "model.tflite").write_bytes(model)
            (folder / "model.json").write_bytes(card)
            commands.append(["classify", "--json", "--model", str(folder / "model.tflite"), str(image)])
    answers = run_all(commands)
    for command, (status, errors) in zip(commands, answers, strict=True):
        assert status in (0, 1), f"{command}: {status}"
        assert "Traceback" not in errors
        assert status == 0 or "error: " in errors
    if kind != "log":  # a log's readable part is reported; anything else that is damaged is mostly refused
        assert sum(status == 1 for status, _ in answers) > CASES_A_KIND // 3
