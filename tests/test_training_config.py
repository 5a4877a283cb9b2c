"""The section `training` of config.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import ROOT
from device.errors import ConfigError
from training.config import TrainingConfig, load_training_config


def test_the_file_that_ships_says_the_defaults():
    assert load_training_config(ROOT / "config.yaml") == TrainingConfig()


def test_the_problems_of_all_rooms_are_told_at_once(tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "camera:\n  widht_px: 640\n"
        "training:\n  seed: -1\n  mlp:\n    epocs: 3\n  benchmark:\n    epochs: 1\n    epochs: 2\n"
    )
    with pytest.raises(ConfigError) as raised:
        load_training_config(path)
    problems = str(raised.value).splitlines()
    assert [problem.removeprefix(f"{path}:").split(":")[0] for problem in problems] == ["2", "4", "6", "8", "9"]
    assert "did you mean width_px?" in problems[0]
    assert "training.mlp.epocs: unknown setting (did you mean epochs?)" in problems[2]


def test_folders_are_relative_to_the_file(tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_text("training:\n  fashion_mnist_dir: data/fm\ndeploy:\n  anything: here\n")
    config = load_training_config(path)
    assert config.fashion_mnist_dir == str(tmp_path / "data" / "fm")
    assert config.photos_dir == ""


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert load_training_config() == TrainingConfig()
