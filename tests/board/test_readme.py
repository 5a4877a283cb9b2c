"""The README's section of a board, typed word by word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from board.conftest import needs
from board.qemu import Board
from board.workstation import assert_same_label_here
from conftest import ROOT


def commands() -> list[str]:
    """The lines of the section that name the virtual board, or lead to it."""
    section = (ROOT / "README.md").read_text().split("## A board in five minutes")[1].split("\n## ")[0]
    lines = re.findall(r"^    (make .+?)(?:  +#.*)?$", section, re.MULTILINE)
    return [line for line in lines if line.startswith("make board") or "HOST=board" in line]


def test_a_board_in_five_minutes_word_by_word(pictures: list[Path], tmp_path: Path):
    needs("qemu-system-aarch64", "mmdebstrap")
    environment = {**os.environ, "BOARD_PORT": "2256"}
    said = {}
    board = Board("bookworm-arm64", 2256)
    board.power_cut()
    shutil.rmtree(board.run, ignore_errors=True)
    try:
        for command in commands():
            if command == "make board-off":
                assert_same_label_here(board, tmp_path)
            words = command.replace("photo.jpg", str(pictures[0])).split()
            done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            print(f"$ {command}\n{done.stdout}{done.stderr}")
            assert done.returncode == 0, command
            said[command] = done.stdout
    finally:
        board.power_cut()
    assert "1 of 1 boards run release" in said["make deploy HOST=board"]
    assert re.search(r"it says: frame +\d+ ", said["make status HOST=board"])
    assert "Half of the answers took at most" in said["make logs HOST=board"]
