"""Who deploys, and what is asked of a board afterwards."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from board.qemu import Board
from conftest import device_command

ROOT = Path(__file__).resolve().parent.parent.parent

SLOW_S = 600
"""How long an emulated board may take for what takes a real one seconds."""

CONFIG = """\
camera:
  source: "{source}"
  frame_rate_hz: 5
log:
  flush_s: 1
  raw_s: 86400
deploy:
  health_s: {health_s}
  p95_budget_ms: 60000
"""
"""Of a board that is only emulated: its speed says nothing, so nothing is asked of it."""


class Workstation:
    """Whoever types `make deploy`; boards are named by their ssh configuration. `folder` holds config, models, logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configure()
        (folder / "model").mkdir()
        for name in ("model.tflite", "model.json"):
            shutil.copy(ROOT / "device" / "models" / name, folder / "model")

    def configure(self, source: str = "synthetic://", health_s: int = 40) -> None:
        (self.folder / "config.yaml").write_text(CONFIG.format(source=source, health_s=health_s))

    def name_model(self, name: str) -> None:
        """Another model, as far as a release is concerned."""
        path = self.folder / "model" / "model.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "name": name}))

    def start(self, command: str, *boards: Board | str, **options: Any) -> subprocess.Popen[str]:
        """Begin `python -m deploy COMMAND`."""
        words = [sys.executable, "-m", "deploy", command]
        names = [board if isinstance(board, str) else f"board:{board.port}" for board in boards]
        words += [word for name in names for word in ("--host", name)]
        if configs := [board for board in boards if isinstance(board, Board)]:
            words += ["--ssh-config", str(configs[0].ssh_config)]
        words += ["--model", "model/model.tflite"] if command == "deploy" else []
        words += ["--dry"] if options.get("dry") else []
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            words, cwd=self.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def run(self, command: str, *boards: Board | str, status: int = 0, **options: Any) -> str:
        """Run it; returns what it prints."""
        process = self.start(command, *boards, **options)
        output, _ = process.communicate(timeout=1800)
        print(f"$ {command}\n{output}")
        assert process.returncode == status, output
        assert "Traceback" not in output
        return output


def settled(board: Board, timeout_s: float = 240) -> dict[str, Any]:
    """The board's own account of what is installed, once no activation goes on."""
    deadline = time.monotonic() + timeout_s
    probe = (ROOT / "deploy" / "board" / "probe.py").read_text()
    while True:
        facts: dict[str, Any] = json.loads(board.ssh("sudo python3 -", input=probe).stdout)
        there: dict[str, Any] = facts["installed"]
        if not there["pending"] and not there["activating"]:
            return there
        assert time.monotonic() < deadline, there
        time.sleep(1)


def frames_logged(board: Board) -> int:
    """How many frames the board's logs hold."""
    return int(board.ssh('cat /var/lib/garmentcam/logs/*.jsonl | grep -c \'"record":"frame"\' || true').stdout)


def read_logs(board: Board) -> dict[str, str]:
    """What the board's latency logs hold, and its disk too when this returns: file name -> text."""
    read = "{os.path.basename(p): open(p).read() for p in glob.glob('/var/lib/garmentcam/logs/*.jsonl')}"
    script = f"import glob, json, os; print(json.dumps({read})); os.sync()"
    logs: dict[str, str] = json.loads(board.ssh(f'python3 -c "{script}"').stdout)
    return logs


def assert_logs_intact(board: Board, before: dict[str, str]) -> None:
    """What stood there before is still there, and nothing has damaged it or what came after it."""
    now = read_logs(board)
    for name, text in before.items():
        assert now.get(name, "").startswith(text[: text.rfind("\n") + 1]), f"{name} has lost lines"
    for name, text in now.items():
        for line in text.splitlines(keepends=True):
            if line.endswith("\n"):  # One without its end is still being written, or was cut off.
                assert "record" in json.loads(line), f"{name}: {line}"


def assert_answers(board: Board, timeout_s: float = 120) -> None:
    """The service answers frames now: nothing else feeds its watchdog."""
    fed = "systemctl show -P WatchdogTimestampMonotonic garmentcam"
    before, deadline = int(board.ssh(fed).stdout), time.monotonic() + timeout_s
    while int(board.ssh(fed).stdout) <= before:
        assert time.monotonic() < deadline, board.ssh("journalctl -u garmentcam -n 20 --no-pager").stdout
        time.sleep(0.5)


def told(board: Board) -> str:
    """What the service has told the journal since the board was switched on."""
    return board.ssh("journalctl -b -u garmentcam -t garmentcam -o cat --no-pager").stdout


def newest_answers(board: Board, count: int = 3) -> list[dict[str, Any]]:
    """The last frame records, once `count` new ones are there."""
    before, deadline = frames_logged(board), time.monotonic() + SLOW_S
    while frames_logged(board) < before + count:
        assert time.monotonic() < deadline, told(board)
        time.sleep(2)
    newest = "ls -t /var/lib/garmentcam/logs/*.jsonl | head -n 1"
    lines = board.ssh(f'grep \'"record":"frame"\' $({newest}) | tail -n {count}').stdout.splitlines()
    return [json.loads(line) for line in lines]


def assert_same_label_here(board: Board, folder: Path) -> None:
    """Of the very frames that its camera gives: read back from it as any program there would, classified here."""
    board.ssh(
        "sudo systemctl stop garmentcam; v4l2-ctl -d /dev/video0 --set-fmt-video=width=640,height=480,pixelformat=YUYV "
        "--stream-mmap --stream-skip=5 --stream-count=1 --stream-to=/tmp/seen.yuyv > /dev/null 2>&1; "
        "sudo systemctl start --no-block garmentcam"
    )
    raw = np.frombuffer(base64.b64decode(board.ssh("base64 /tmp/seen.yuyv").stdout), np.uint8)
    path = folder / "seen.png"
    cv2.imwrite(str(path), cv2.cvtColor(raw.reshape(480, 640, 2), cv2.COLOR_YUV2BGR_YUYV))
    here = json.loads(device_command("classify", "--json", path).stdout)
    for there in newest_answers(board):
        print(f"{there['label']} {there['score']:.3f} there, {here['label']} {here['score']:.3f} here")
        assert there["label"] == here["label"]
        assert there["score"] == pytest.approx(here["score"], abs=0.05)
