"""The board's own benchmark: what it measures, what it recommends, and what `--apply` writes."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from test_classifier import contents, write_model

from conftest import ROOT, SHIPPED_MODEL, device_command
from device.bench import Row, advice, choose, measure_all, plan, render, summarize, usable_threads
from device.bench_worker import STAGES, Job
from device.config import CameraConfig, Config, load_config
from device.config_edit import set_settings
from device.errors import ConfigError
from device.health import Health
from device.histograms import Histogram
from device.runtime import installed_runtimes

MS = 1_000_000
__all__ = ["contents"]  # the fixture of test_classifier


def row(runtime: str, threads: int, total_ms: float, **others: object) -> Row:
    histogram = Histogram()
    for _ in range(200):
        histogram.add(round(total_ms * MS))
    job = Job("m.tflite", runtime, threads, CameraConfig(), 1, 1, 0)
    stages = dict.fromkeys(STAGES, histogram)
    return dataclasses.replace(Row(job, runtime, stages, stages, spread=1.0, agreement=1.0), **others)


def test_the_plan_has_every_runtime_and_number_of_threads_for_every_model():
    jobs = plan(Config(), [Path("a.tflite"), Path("b.tflite")], 3)
    assert {(job.model, job.runtime, job.threads) for job in jobs} == {
        (model, runtime, count)
        for model in ("a.tflite", "b.tflite")
        for runtime in installed_runtimes()
        for count in (1, 2, 3)
    }
    assert 1 <= usable_threads() <= min(4, os.cpu_count() or 1)
    # Two rounds: 100 frames and 10 seconds of each setting at least.
    assert all((job.least_s * 2, job.least_frames * 2) == (10, 100) for job in jobs)


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([row("a", 1, 5), row("b", 1, 4)], ("b", 1)),
        ([row("a", 1, 5), row("a", 2, 4), row("a", 4, 3)], ("a", 4)),
        ([row("a", 4, 3), row("a", 2, 3.1), row("a", 1, 4)], ("a", 2)),  # as fast, with fewer threads
        ([row("a", 1, 5), row("b", 1, 1, agreement=0.9)], ("a", 1)),  # fast and wrong
        ([row("a", 1, 5), row("b", 1, 1, error="cannot load")], ("a", 1)),
        ([row("a", 1, 1, error="cannot load")], None),
    ],
)
def test_the_fastest_that_is_right_is_chosen(rows: list[Row], best: tuple[str, int] | None):
    chosen = choose(rows)
    assert (chosen and (chosen.job.runtime, chosen.job.threads)) == best


def test_the_advice_says_what_to_write_and_what_speaks_against_it():
    summary = summarize([row("litert", 2, 3)], Config(), [])
    assert advice(summary) == "Best here: model.runtime: litert, model.threads: 2 (now auto, 1; --apply writes it)."
    noisy = summarize([row("litert", 2, 3, spread=1.5)], Config(), [])
    assert "The rounds differ by 50%" in advice(noisy)
    hot = summarize([row("litert", 2, 3)], Config(), [Health(0), Health(1, throttled_bits=4)])
    assert "held back (throttled)" in advice(hot)
    nothing = summarize([row("litert", 2, 3, error="it broke")], Config(), [])
    assert "nothing to recommend" in advice(nothing)
    assert "m.tflite, litert, 2 threads: it broke" in render(nothing)


def test_every_runtime_and_model_is_measured_in_a_process_of_its_own(tmp_path: Path, contents: dict[str, bytes]):
    """The real thing, float and int8, with a few frames each; one model cannot be loaded, and is a row that says so."""
    models = [write_model(tmp_path / kind, contents[kind], kind) for kind in ("float32", "int8")]
    models.append(tmp_path / "other.tflite")
    shutil.copy(SHIPPED_MODEL, models[-1])
    jobs = plan(Config(), models, 1, quick=True)
    ended: list[int] = []
    rows = measure_all(jobs, after_each=lambda: ended.append(1))
    assert len(ended) == 2 * len(jobs)
    good, bad = rows[: -len(installed_runtimes())], rows[-len(installed_runtimes()) :]
    for found in good:
        assert (found.error, found.agreement >= 0.9) == ("", True)
        assert found.runtime.startswith(found.job.runtime + " ")
        assert len(found.paced["total"]) >= 20
        assert found.tight["inference"].percentile_ns(50) > 0
    assert all("every model needs its card beside it" in found.error for found in bad)
    text = render(summarize(rows, Config(), []))
    assert "Best here" in text
    for name in ("float32/model.tflite", "int8/model.tflite", "/other.tflite, "):
        assert name in text


def test_the_command_applies_what_it_found(tmp_path: Path):
    config = tmp_path / "config.yaml"
    text = (ROOT / "config.yaml").read_text().replace("device/models/model.tflite", str(SHIPPED_MODEL))
    config.write_text(text)
    done = device_command("bench", "--quick", "--json", "--apply", "--config", config)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    settings = load_config(config).model
    best = summary["recommended"]
    assert (settings.runtime, settings.threads) == (best["runtime"], best["threads"])
    assert all(set(row["paced"]) == set(STAGES) for row in summary["rows"])
    assert changed_lines(text, config.read_text()) <= {"runtime", "threads"}


def test_apply_needs_a_file_to_change(tmp_path: Path):
    done = device_command("bench", "--apply", "--config", tmp_path / "none.yaml")
    assert (done.returncode, "none.yaml: No such file" in done.stderr) == (1, True)


def changed_lines(before: str, after: str) -> set[str]:
    """First words of the lines that are other or new."""
    diff = difflib.ndiff(before.splitlines(), after.splitlines())
    return {line[2:].split(":")[0].strip() for line in diff if line[:1] in "+-"}


def test_only_the_settings_that_are_set_change(tmp_path: Path):
    path = tmp_path / "config.yaml"
    text = (ROOT / "config.yaml").read_text()
    path.write_text(text)
    path.chmod(0o640)
    set_settings(path, "model", {"runtime": "tflite-runtime", "threads": 4})
    new = path.read_text()
    assert changed_lines(text, new) == {"runtime", "threads"}
    assert (load_config(path).model.runtime, load_config(path).model.threads) == ("tflite-runtime", 4)
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]
    for line in new.splitlines():
        if line.startswith("  runtime") or line.startswith("  threads"):
            assert line.index("#") == 31  # comments stay where they were


@pytest.mark.parametrize(
    "text",
    [
        "",
        "camera:\n  width_px: 320",
        "model:\n",
        "model: {}\nlog:\n  flush_s: 1\n",
        "model: {path: a.tflite}  # mine\n",
        "model: {threads: 1, path: a.tflite}\n",
        "# first\nmodel:\n    # why\n    path: a.tflite  # here\nlog:\n  flush_s: 1\n",
        "model:\n  'threads': 1\n  runtime: 'auto'\n",
        "model:\r\n  threads: 1  # n\r\n  path: a\r\n",
        "model:\n  runtime: tflite-runtime # c\n  threads: 16\n",
    ],
)  # fmt: skip
def test_settings_are_set_however_the_file_is_written(text: str, tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_bytes(text.encode())
    before = yaml.safe_load(text) or {}
    set_settings(path, "model", {"runtime": "litert", "threads": 3})
    after = yaml.safe_load(path.read_bytes())
    assert after["model"] == {**(before.get("model") or {}), "runtime": "litert", "threads": 3}
    assert {**after, "model": 0} == {**before, "model": 0}
    for comment in ("# first", "# why", "# here", "# mine", "# n"):
        assert (comment in path.read_text()) == (comment in text)
    assert path.read_bytes().count(b"\r\n") == text.count("\r\n")
    again = path.read_bytes()
    set_settings(path, "model", {"runtime": "litert", "threads": 3})
    assert path.read_bytes() == again


def test_a_file_that_cannot_be_changed_safely_is_left_alone(tmp_path: Path):
    path = tmp_path / "config.yaml"
    text = "x-model: &m\n  threads: 1\nmodel: *m\n"
    path.write_text(text.replace("x-model", "camera").replace("threads: 1", "width_px: 320"))
    before = path.read_text()
    with pytest.raises(ConfigError):
        set_settings(path, "model", {"threads": 3})
    assert path.read_text() == before
