"""Comparing two runs: differences with honest intervals, or the reason why there are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import device_command
from device.compare import compare, render
from device.health import Health
from device.latency_read import Run
from latency_logs import MS, PERIOD_NS, SECOND, header, read_log, write_log

FRAMES = 40 * SECOND // PERIOD_NS


def drifting(seed: int, typical_ns: float, *, count: int = FRAMES, drift: float = 0.05) -> list[int]:
    """Durations that are alike for a second or so and then drift: neighbours tell little that is new."""
    rng = np.random.default_rng(seed)
    seconds = rng.normal(0, drift, count // 30 + 1).repeat(30)[:count]
    return (typical_ns * np.exp(seconds + rng.normal(0, 0.05, count))).astype(int).tolist()


def run(folder: Path, seed: int, typical_ns: float = 5 * MS, **options: object) -> Run:
    return read_log(folder / str(seed), drifting(seed, typical_ns), **options)


def row(comparison: dict[str, object], percent: int, stage: str = "total") -> dict[str, object]:
    return next(row for row in comparison["rows"] if (row["stage"], row["percent"]) == (stage, percent))


def test_two_runs_of_the_same_seldom_differ(tmp_path: Path):
    """12 pairs, each with a chance of 5 %: more than three would be no 95 % interval. Frame by frame it were most."""
    wrong = 0
    for pair in range(12):
        comparison = compare(run(tmp_path, 2 * pair), run(tmp_path, 2 * pair + 1))
        low, high = row(comparison, 50)["interval_us"]
        wrong += not low <= 0 <= high
    assert wrong <= 3


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_difference_is_found_and_its_interval_holds_the_truth(factor: float, tmp_path: Path):
    comparison = compare(run(tmp_path, 1), run(tmp_path, 2, 5 * MS * factor))
    assert comparison["comparable"]
    for percent in (50, 95, 99):
        found = row(comparison, percent)
        assert found["differs"]
    low, high = row(comparison, 50)["interval_us"]
    assert low <= 5000 * (factor - 1) <= high
    assert row(comparison, 50)["difference_us"] == pytest.approx(5000 * (factor - 1), abs=400)
    assert comparison["verdict"].startswith("B is slower" if factor > 1 else "B is faster")
    assert ("slower" if factor > 1 else "faster") in render(comparison)


def test_the_same_seed_gives_the_same_interval(tmp_path: Path):
    a, b = run(tmp_path, 1), run(tmp_path, 2)
    assert compare(a, b) == compare(a, b)


def test_what_is_smaller_than_the_logs_grain_is_no_difference(tmp_path: Path):
    a = read_log(tmp_path / "a", [5 * MS] * FRAMES)
    b = read_log(tmp_path / "b", [round(5.04 * MS)] * FRAMES)
    assert compare(a, b)["verdict"].startswith("No difference that these runs can show")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"model_sha256": "y"}, "other model"),
        ({"config_sha256": "y"}, "other config.yaml"),
        ({"machine": "Raspberry Pi 5"}, "other machine (x against Raspberry Pi 5)"),
        ({"runtime": "litert 2.3.0"}, "other runtime (x against litert 2.3.0)"),
        ({"threads": 4}, "other number of threads (1 against 4)"),
    ],
)
def test_unlike_runs_are_not_comparable(facts: dict[str, object], reason: str, tmp_path: Path):
    a, b = run(tmp_path, 1), run(tmp_path, 2, about=header(**facts))
    comparison = compare(a, b)
    assert (comparison["comparable"], comparison["reasons"]) == (False, [reason])
    assert comparison["verdict"] == f"Not comparable: {reason}."
    assert not any("difference_us" in row for row in comparison["rows"])
    assert any("difference_us" in row for row in compare(a, b, anyway=True)["rows"])


def test_a_throttled_run_is_not_comparable(tmp_path: Path):
    hot = run(tmp_path, 2, health=lambda now_ns: Health(now_ns - now_ns % (10 * SECOND), throttled_bits=0x50005))
    assert "B was throttled (under-voltage, throttled)" in compare(run(tmp_path, 1), hot)["verdict"]
    earlier = run(tmp_path, 3, health=lambda now_ns: Health(now_ns - now_ns % (10 * SECOND), throttled_bits=0x50000))
    assert compare(run(tmp_path, 4), earlier)["comparable"]  # throttled before the run, not in it


def test_short_runs_are_not_comparable(tmp_path: Path):
    few = read_log(tmp_path / "few", [5 * MS] * 99)
    assert compare(run(tmp_path, 1), few)["reasons"] == [
        "B is too short (99 frames; expected 100 and 10 seconds at least)"
    ]
    assert compare(few, few, anyway=True)["rows"]
    assert "Not comparable" in render(compare(few, few))


def test_the_command(tmp_path: Path):
    a, b = (write_log(tmp_path / name, drifting(seed, 5 * MS)) for seed, name in enumerate("ab"))
    done = device_command("compare", a, tmp_path / "b")
    assert (done.returncode, "95% interval" in done.stdout) == (0, True), done.stderr
    answer = json.loads(device_command("compare", a, b, "--json").stdout)
    assert (answer["a"], answer["comparable"]) == (str(a), True)
    write_log(tmp_path / "b", [5 * MS])
    done = device_command("compare", a, tmp_path / "b")
    assert (done.returncode, "2 runs in this folder; name one log" in done.stderr) == (1, True)
