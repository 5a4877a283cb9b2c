"""The report says what the log shows, and no more."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from conftest import device_command
from device.changes import find_rise
from device.health import Health
from device.latency_read import Run
from device.records import Gap
from device.report import render, summarize, to_csv
from device.report_plots import draw
from latency_logs import MS, PERIOD_NS, PLENTY, SECOND, header, jittered, read_log, write_log

FRAMES_A_MINUTE = 60 * SECOND // PERIOD_NS
START = header(start_utc="2026-03-01T14:00:00+00:00", start_ns=10**12)


def ten_minutes(slow_minutes: range, *, slower: float = 3.5, seed: int = 1) -> list[int]:
    """Total of each frame, ns: 9 ms at p99, and some minutes in which everything takes longer."""
    rng = np.random.default_rng(seed)
    totals: list[int] = []
    for minute in range(10):
        typical_ns = 5 * MS * (slower if minute in slow_minutes else 1)
        totals += jittered(rng, typical_ns, FRAMES_A_MINUTE, spread=0.25)
    return totals


def board(slow_minutes: range, **changed: object):
    """Readings each 10 s of a Raspberry Pi, which are `changed` in some minutes."""
    usual = {
        "temperature_c": 58.0,
        "clock_hz": 1_500_000_000,
        "throttled_bits": 0,
        "load_1m": 0.8,
        "rss_bytes": 90_000_000,
    }

    def reading(now_ns: int) -> Health:
        at_ns = now_ns - now_ns % (10 * SECOND)
        slow = (at_ns - START.start_ns) // (60 * SECOND) in slow_minutes
        return Health(at_ns, **{**usual, **(changed if slow else {})})

    return reading


def throttled_run(tmp_path: Path) -> Run:
    slow = range(2, 5)
    throttled = {"throttled_bits": 0x50004, "clock_hz": 600_000_000, "temperature_c": 84.6}
    return read_log(tmp_path, ten_minutes(slow), about=START, health=board(slow, **throttled), warmup=15)


def test_the_report_counts_what_it_should(tmp_path: Path):
    totals = [100 * MS] * 10 + [number * MS // 10 for number in range(1, 201)]  # ten slow frames of warm-up
    summary = summarize(read_log(tmp_path, totals, warmup=10))
    assert (summary["frames"], summary["warmup"]["frames"], summary["ended"]) == (200, 10, "frames")
    assert summary["warmup"]["total"]["max_us"] == 100_000
    total = summary["stages"]["total"]
    assert (total["n"], total["max_us"]) == (200, 20_000)
    for percent in (50, 90, 95, 99):
        assert total[f"p{percent}_us"] == pytest.approx(200 * percent, rel=0.0101)
    assert summary["stages"]["inference"]["p50_us"] == pytest.approx(6_000, rel=0.0101)
    assert summary["stages"]["age from exposure"]["p50_us"] == pytest.approx(30_000, rel=0.0101)
    assert "dequeue" not in summary["stages"]
    assert summary["rate_hz"] == pytest.approx(1000 / 33, rel=0.01)
    assert summary["unsure_share"] == 0
    assert "inference is 60% of it" in summary["verdict"]
    assert "kept up" in summary["verdict"]
    assert "slowest 100.0 ms" in render(summary)


def test_few_frames_give_no_p99(tmp_path: Path):
    summary = summarize(read_log(tmp_path, [MS] * 99))
    assert summary["stages"]["total"]["p99_us"] is None
    assert "p99 needs 100" in summary["verdict"]
    nothing = summarize(read_log(tmp_path / "b", [MS], warmup=1))
    assert nothing["stages"]["total"] == dict.fromkeys(nothing["stages"]["total"], None) | {"n": 0}
    assert "nothing can be said" in nothing["verdict"]
    assert render(nothing)


def test_skipped_frames_are_in_the_verdict(tmp_path: Path):
    assert "missed 40 frames" in summarize(read_log(tmp_path, [MS] * 20, skipped=2))["verdict"]


def test_a_rise_is_named_with_its_time_its_size_and_its_cause(tmp_path: Path):
    run = throttled_run(tmp_path)
    rise = find_rise(run)
    assert (rise.start_ns - START.start_ns) / SECOND == pytest.approx(120, abs=31)
    assert (rise.end_ns - START.start_ns) / SECOND == pytest.approx(300, abs=31)
    totals = np.array(ten_minutes(range(2, 5)))
    minutes = np.arange(len(totals)) // FRAMES_A_MINUTE
    slow = (minutes >= 2) & (minutes < 5)
    assert rise.usual_ns == pytest.approx(np.percentile(totals[~slow], 99), rel=0.05)
    assert rise.slow_ns == pytest.approx(np.percentile(totals[slow], 99), rel=0.05)
    verdict = summarize(run)["verdict"]
    assert "at 14:02 UTC for 3 min (until 14:05)" in verdict
    assert "when the board throttled (throttled, 85 °C)" in verdict
    assert verdict.endswith(".")
    assert ". " not in verdict  # one sentence
    text = render(summarize(run))
    assert "58 to 85 °C, 0.60 to 1.50 GHz" in text
    assert "held back in 18 of 60 readings (throttled)" in text


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"clock_hz": 900_000_000}, "when the clock fell from 1.50 to 0.90 GHz, 58 °C"),
        ({"load_1m": 3.4}, "when the load rose from 0.8 to 3.4 processes"),
        ({"throttled_bits": 0x10001}, "when the board throttled (under-voltage, 58 °C)"),
        ({"throttled_bits": 0x50000}, "the board shows no cause"),  # throttled once, long ago
        ({}, "most of it in inference; the board shows no cause"),
    ],
)
def test_the_cause_is_what_the_board_did_then_and_not_otherwise(changed: dict[str, object], cause: str, tmp_path: Path):
    slow = range(6, 9)
    run = read_log(tmp_path, ten_minutes(slow), about=START, health=board(slow, **changed))
    assert cause in summarize(run)["verdict"]


@pytest.mark.parametrize("slow", [range(0, 3), range(7, 10)])
def test_a_rise_at_either_end_is_found(slow: range, tmp_path: Path):
    rise = find_rise(read_log(tmp_path, ten_minutes(slow), about=START))
    assert (rise.start_ns - START.start_ns) / SECOND == pytest.approx(60 * slow.start, abs=31)
    assert (rise.end_ns - START.start_ns) / SECOND == pytest.approx(60 * slow.stop, abs=31)


@pytest.mark.parametrize("seed", range(5))
def test_an_even_run_has_no_rise(seed: int, tmp_path: Path):
    assert find_rise(read_log(tmp_path, ten_minutes(range(0), seed=seed), about=START)) is None
    assert "rose" not in summarize(read_log(tmp_path / "b", [5 * MS] * 900))["verdict"]


def test_a_slow_run_from_first_to_last_is_no_rise(tmp_path: Path):
    assert find_rise(read_log(tmp_path, ten_minutes(range(10)), about=START)) is None


def test_a_throttled_board_counts_even_when_nothing_slowed(tmp_path: Path):
    run = read_log(tmp_path, ten_minutes(range(0)), about=START, health=board(range(11), throttled_bits=1))
    summary = summarize(run)
    assert summary["board"]["throttled_readings"] == summary["board"]["readings"] == 60
    assert summary["board"]["throttled_by"] == ["under-voltage"]


def pictured(run: Run, path: Path) -> np.ndarray:
    draw(run, path)
    picture = cv2.imread(str(path))
    assert picture.shape[0] > 500
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
    return picture


def test_the_picture_shows_throttling_and_gaps(tmp_path: Path):
    run = throttled_run(tmp_path / "a")
    with_it = pictured(run, tmp_path / "a.png")
    cool = [msgspec.structs.replace(reading, throttled_bits=0) for reading in run.health]
    without = pictured(dataclasses.replace(run, health=cool), tmp_path / "b.png")
    assert (with_it != without).any()


def test_nothing_is_drawn_where_there_was_no_camera(tmp_path: Path):
    run = throttled_run(tmp_path / "a")
    start_ns = run.header.start_ns
    middle = [block for block in run.blocks if 200 * SECOND <= block.end_ns - start_ns <= 400 * SECOND]
    gap = Gap(middle[0].start_ns, middle[-1].end_ns, "unplugged")
    rest = [window for window in run.windows if window not in middle]
    with_gap = dataclasses.replace(run, windows=rest, gaps=[gap])
    stack = pictured(with_gap, tmp_path / "a.png")[430:650, 62:860].astype(int)  # the lower left panel
    painted = (stack.max(axis=2) - stack.min(axis=2) > 60).any(axis=0)
    edges = np.flatnonzero(painted)
    assert np.diff(edges).max() > 0.2 * (edges[-1] - edges[0])


@pytest.mark.parametrize("count", [0, 1, 5, 400])
def test_a_picture_is_drawn_of_any_number_of_frames(count: int, tmp_path: Path):
    run = read_log(tmp_path, [5 * MS] * count, warmup=min(1, count))
    draw(run, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_csv_has_a_line_for_each_stage_of_each_run(tmp_path: Path):
    summaries = [summarize(read_log(tmp_path / name, [5 * MS] * 150)) for name in "ab"]
    rows = list(csv.DictReader(io.StringIO(to_csv(summaries))))
    assert len(rows) == 2 * len(summaries[0]["stages"])
    total = next(row for row in rows if row["stage"] == "total")
    assert float(total["p99_us"]) == pytest.approx(5000, rel=0.01)
    assert total["log"] == summaries[0]["log"]


def test_the_command_reports_one_log_many_and_a_folder(tmp_path: Path):
    for day in (1, 2):
        write_log(tmp_path, [5 * MS * day] * 300, about=header(start_utc=f"2026-01-0{day}T00:00:00+00:00"))
    logs = sorted(tmp_path.glob("*.jsonl"))
    for named in ([tmp_path], logs):
        done = device_command("report", *named)
        assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
        assert done.stdout.count("Half of the answers") == 2
        assert "2 runs, total in us" in done.stdout
    assert len(list(tmp_path.glob("*.png"))) == 2
    done = device_command("report", tmp_path, "--json")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["stages"]["total"]["max_us"] for answer in answers] == [5000, 10_000]
    done = device_command("report", logs[0], "--csv")
    assert done.stdout.splitlines()[0].startswith("log,start_utc,machine,model,runtime,threads,stage,n,p50_us")
    done = device_command("report", tmp_path, "--picture", tmp_path / "x.png")
    assert (done.returncode, "2 runs were named" in done.stderr) == (1, True)
    done = device_command("report", logs[0], "--picture", logs[0] / "x.png")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "error: --picture" in done.stderr


def test_the_report_takes_default_settings_of_windows(tmp_path: Path):
    """The figures do not depend on how long the windows are."""
    totals = ten_minutes(range(0))
    short = msgspec.structs.replace(PLENTY, window_s=5, raw_s=0)
    some, others = (summarize(read_log(tmp_path / str(s.window_s), totals, settings=s)) for s in (PLENTY, short))
    assert some["stages"]["total"] == others["stages"]["total"]
