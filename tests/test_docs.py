"""What the documentation says exists."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT
from device.cli import _parser
from device.config import LogConfig
from device.records import AGES, STAGES

TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_every_make_target_that_is_named_exists(path: Path):
    named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", path.read_text(), re.MULTILINE)) - {"deploy"}
    assert named
    assert named <= makefile_targets()


def test_every_command_of_the_readme_parses():
    commands = re.findall(r"^    \.venv/bin/python -m device (.+?)(?:  +#.*)?$", TEXTS[0].read_text(), re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        _parser().parse_args(shlex.split(command))


def test_the_stages_of_the_readme_are_those_of_the_log():
    rows = re.findall(r"^\| `([a-z ]+)` \|", TEXTS[0].read_text(), re.MULTILINE)
    assert rows == [*STAGES, *AGES]


def test_the_figures_of_the_readme_are_the_default_settings():
    text = re.sub(r"\s+", " ", TEXTS[0].read_text())
    settings = LogConfig()
    assert (settings.raw_s, settings.window_s, settings.slowest, settings.health_s) == (300, 30, 5, 10)
    assert "each frame of the first five minutes, then the five slowest of each half minute" in text
    assert "each ten seconds temperature" in text
    assert f"beyond {settings.total_mb:g} MB the oldest files go, and below {settings.keep_free_mb:g} MB" in text


def test_every_link_and_picture_of_the_texts_is_there():
    for path in TEXTS:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            assert "://" in target or (ROOT / target).exists(), f"{path.name}: {target}"


def test_every_fault_that_is_listed_is_tested():
    named = re.findall(r"`(test_\w+)` \|$", (ROOT / "docs" / "faults.md").read_text(), re.MULTILINE)
    defined = "".join(path.read_text() for path in (ROOT / "tests" / "board").glob("test_*.py"))
    assert len(named) >= 20
    assert [name for name in named if f"def {name}(" not in defined] == []


def test_make_alone_prints_help():
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in makefile_targets():
        assert f"make {target}" in done.stdout


def test_the_python_versions_are_the_same_everywhere():
    text = TEXTS[0].read_text()
    assert "Python 3.10 to 3.13" in text
    assert "(3, 10) <= v <= (3, 13)" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("target", ["reproduce", "train", "finetune PHOTOS=some", "halves", "evaluate", "benchmark"])
def test_what_needs_fashion_mnist_fetches_it_first(target):
    command = ["make", "--dry-run", *target.split()]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "-m training.data\n" in said.partition(f"-m training.{target.split()[0]}")[0]
