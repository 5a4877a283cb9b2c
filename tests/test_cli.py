"""The command line: what other programs rely on, and what people are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import ROOT, SHIPPED_MODEL, device_command
from device.cli import _summary
from device.config import LogConfig
from device.labels import LABELS
from device.sinks import LastResult, Score
from latency_logs import write_log


def test_classify_answers_real_photographs_as_json(photos: list[Path]):
    done = device_command("classify", "--json", *photos)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["path"] for answer in answers] == [str(path) for path in photos]
    for answer in answers:
        assert set(answer) == {"path", "label", "score", "scores", "decision"}
        assert tuple(answer["scores"]) == LABELS
        assert sum(answer["scores"].values()) == pytest.approx(1, abs=1e-4)
        assert answer["score"] == max(answer["scores"].values()) == answer["scores"][answer["label"]]
        assert answer["decision"] in (answer["label"], "unsure")


def test_classify_names_unreadable_files_and_answers_the_others(tmp_path: Path):
    good = tmp_path / "good.png"
    cv2.imwrite(str(good), np.full((60, 80, 3), 200, np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    done = device_command("classify", "--json", tmp_path / "none.png", good, tmp_path / "broken.jpg")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert ["error" in answer for answer in answers] == [True, False, True]
    assert "2 of 3 files could not be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_classify_is_the_loop_on_one_frame(tmp_path: Path, photos: list[Path]):
    """The same file through `run` and through `classify` gives the same label and score."""
    done = device_command("run", "--source", photos[0], "--log", tmp_path)
    assert done.returncode == 0, done.stderr
    lines = map(json.loads, next(tmp_path.glob("*.jsonl")).read_text().splitlines())
    record = next(line for line in lines if line["record"] == "frame")
    answer = json.loads(device_command("classify", "--json", photos[0]).stdout)
    assert (record["label"], record["score"]) == (answer["label"], pytest.approx(answer["score"], abs=1e-4))


def test_run_reports_draws_and_logs(tmp_path: Path):
    picture = tmp_path / "answer.png"
    arguments = ["--source", "synthetic://", "--frames", 130, "--as-fast-as-possible", "--log", tmp_path]
    done = device_command("run", *arguments, "--picture", picture)
    assert done.returncode == 0, done.stderr
    assert "right: " in done.stdout
    assert "of 130 frames" in done.stdout
    assert "p99" in done.stdout
    assert cv2.imread(str(picture)).shape[0] == 480
    lines = [json.loads(line) for line in next(tmp_path.glob("*.jsonl")).read_text().splitlines()]
    assert lines[0]["record"] == "header"
    assert (lines[-1]["record"], lines[-1]["ended"], lines[-1]["frames"]) == ("footer", "frames", 130)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_with_the_log_complete(tmp_path: Path, number: signal.Signals):
    command = [sys.executable, "-m", "device", "run", "--source", "synthetic://", "--log", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("*.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(number)
    sent = time.monotonic()
    output, errors = process.communicate(timeout=30)
    assert time.monotonic() - sent < 2
    assert (process.returncode, "Traceback" in errors) == (0, False), errors
    footer = json.loads(next(tmp_path.glob("*.jsonl")).read_text().splitlines()[-1])
    assert (footer["record"], footer["ended"]) == ("footer", "signal")
    assert footer["frames"] > 5
    assert "Half of the answers" in output or "nothing can be said" in output


def test_a_long_log_is_not_summed_up_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """It would keep a service from ending in time."""
    path = write_log(tmp_path, [5_000_000] * 12_000, settings=LogConfig(keep_free_mb=0, raw_s=1e6))
    assert _summary(path, LastResult(), Score(), None) == 0
    assert capsys.readouterr().out == f"\nsee: python -m device report {path}\n"


def test_report_json_and_picture(tmp_path: Path):
    device_command("run", "--source", "synthetic://", "--frames", 40, "--as-fast-as-possible", "--log", tmp_path)
    log = next(tmp_path.glob("*.jsonl"))
    done = device_command("report", log, "--json")
    summary = json.loads(done.stdout)
    assert summary["stages"]["total"]["n"] == summary["frames"]
    assert cv2.imread(str(log.with_suffix(".png"))) is not None


def test_check_opens_everything_and_draws(tmp_path: Path):
    done = device_command("check", "--picture", tmp_path / "check.png")
    assert done.returncode == 0, done.stderr
    assert "640x480" in done.stdout
    assert cv2.imread(str(tmp_path / "check.png")) is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--source", "nowhere.mp4"), "nowhere.mp4: no such file"),
        (("run", "--config", "nowhere.yaml"), "nowhere.yaml: No such file"),
        (("run", "--model", "nowhere.tflite"), "every model needs its card beside it"),
        (("run", "--log", "/proc/none"), "name a writable folder"),
        (("report", "nowhere.jsonl"), "nowhere.jsonl: No such file"),
    ],
)
def test_errors_are_one_clear_line(arguments: tuple[str, ...], message: str):
    done = device_command(*arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_pipe_is_no_error(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((30, 30), np.uint8))
    command = f"{sys.executable} -m device classify --json {' '.join([str(tmp_path / 'a.png')] * 300)} | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)


def test_the_board_runs_the_model_that_config_names(tmp_path: Path):
    """Paths in config.yaml are relative to it, wherever the program is started."""
    config = tmp_path / "config.yaml"
    config.write_text(f"model: {{path: {os.path.relpath(SHIPPED_MODEL, tmp_path)}}}\ncamera: {{width_px: 320}}\n")
    done = device_command("check", "--config", config, "--picture", tmp_path / "a.png")
    assert done.returncode == 0, done.stderr
    assert "320x480" in done.stdout
