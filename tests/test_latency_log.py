"""The latency log: complete, small, and never in the loop's way."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from device.config import LogConfig
from device.decision import Decision
from device.frame import Prediction
from device.health import Health
from device.latency_log import LatencyLog
from device.latency_read import find_runs, read_run
from device.log_files import stem_of
from device.records import Header
from device.report import summarize
from device.sinks import AnswerPrinter, LastResult, Progress, Score
from latency_logs import MS, PERIOD_NS, PLENTY, SECOND, Clock, header, jittered, read_log, result, timings, write_log


def replaced(**settings: object) -> LogConfig:
    return msgspec.structs.replace(PLENTY, **settings)


def test_what_is_written_is_what_is_read(tmp_path: Path):
    run = read_log(tmp_path, [3 * MS, 4 * MS, 5 * MS], warmup=1, skipped=2)
    assert [frame.total_ns for frame in run.frames] == [3 * MS, 4 * MS, 5 * MS]
    assert [frame.skipped for frame in run.frames] == [2, 2, 2]
    assert [(window.warmup, window.frames, window.skipped) for window in run.windows] == [(True, 1, 2), (False, 2, 4)]
    # What the sinks took is known with the next frame; of the last it stays unknown, and is null, not 0.
    assert [frame.sinks_ns for frame in run.frames] == [MS // 10, MS // 10, None]
    assert len(run.histogram("sinks")) == 1
    assert (run.footer.frames, run.footer.ended, run.footer.lost_records, run.missing) == (3, "frames", 0, [])
    records = [json.loads(line)["record"] for line in run.path.read_text().splitlines()]
    assert records == ["header", "frame", "window", "frame", "frame", "window", "footer"]
    assert '"dequeue_ns":null' in run.path.read_text()


def test_ages_of_either_kind_are_never_mixed(tmp_path: Path):
    clock = Clock()
    with LatencyLog(tmp_path, header(start_ns=0), PLENTY, clock=clock) as log:
        for number in range(300):
            age_from = "exposure" if number % 3 else "arrival"
            age_ns = 40 * MS if number % 3 else 10 * MS
            log(result(number, clock(), timings(MS, age_ns=None if number % 5 == 0 else age_ns, age_from=age_from)))
            clock.sleep(PERIOD_NS)
    stages = summarize(read_run(log.path))["stages"]
    assert (stages["age from exposure"]["n"], stages["age from arrival"]["n"]) == (160, 80)
    assert stages["age from exposure"]["p50_us"] == pytest.approx(40_000, rel=0.01)
    assert stages["age from arrival"]["p50_us"] == pytest.approx(10_000, rel=0.01)


def test_after_the_first_minutes_only_the_slowest_are_recorded_and_all_are_counted(tmp_path: Path):
    rng = np.random.default_rng(5)
    totals = list(jittered(rng, 5 * MS, 3000))
    settings = replaced(raw_s=10, window_s=20, slowest=4)
    run = read_log(tmp_path, totals, settings=settings)
    assert len(run.frames) == pytest.approx(10 * SECOND / PERIOD_NS, abs=2)
    assert sum(window.frames for window in run.windows) == 3000
    assert len(run.histogram("total")) == 3000
    p99 = np.sort(totals)[2969]
    assert run.histogram("total").percentile_ns(99) == pytest.approx(p99, rel=0.0101)
    assert max(totals) == run.histogram("total").max_ns
    for window in run.windows:
        kept = sorted(frame.total_ns for frame in run.slow if frame.window == window.number)
        of_window = [
            total for n, total in enumerate(totals) if window.start_ns <= _called_ns(run, n, total) < window.end_ns
        ]
        if window.number > 0:  # the first had frames that were recorded anyhow
            assert kept == sorted(of_window)[-4:]
    assert {frame.sequence for frame in run.slow}.isdisjoint(frame.sequence for frame in run.frames)


def _called_ns(run: object, number: int, total_ns: int) -> int:
    return run.header.start_ns + number * PERIOD_NS + total_ns


def test_a_day_at_30_frames_a_second_takes_at_most_20_megabytes(tmp_path: Path):
    """By the default settings; the first hour, in which every frame is recorded for a while, and 23 like the second."""
    rng = np.random.default_rng(7)
    hour = 3600 * 30
    about = header(start_ns=0, source="csi://0 imx708 640x480", machine="Raspberry Pi 4 Model B Rev 1.4, aarch64")
    clock = Clock()
    columns = {
        # Wide spreads: more bins than a quiet board fills.
        stage: (typical_ns * rng.lognormal(0, 0.35, 2 * hour)).astype(int).tolist()
        for stage, typical_ns in {
            "wait_ns": 15 * MS, "dequeue_ns": MS, "preprocess_ns": 4 * MS, "inference_ns": 5 * MS,
            "decision_ns": MS // 10, "sinks_before_ns": MS // 4, "age_ns": 60 * MS,
        }.items()
    }  # fmt: skip
    totals = (10 * MS * rng.lognormal(0, 0.35, 2 * hour)).astype(int).tolist()
    sizes = []
    with LatencyLog(tmp_path, about, LogConfig(keep_free_mb=0, flush_s=0.1, total_mb=1000), clock=clock) as log:
        next_health_ns = 0
        for number in range(2 * hour):
            clock.now_ns = number * SECOND // 30
            times = timings(totals[number], **{stage: values[number] for stage, values in columns.items()})
            log(result(number, clock.now_ns, times))
            if clock.now_ns >= next_health_ns:
                next_health_ns += round(LogConfig().health_s * SECOND)
                log.health(
                    Health(clock.now_ns, 61.834, 1_500_000_000, 0x50005, 1.37, 91_234_304, 12_345_678_848, 3.456)
                )
            if number == hour:
                _wait_until_written(log)
                sizes.append(_bytes_in(tmp_path))
    sizes.append(_bytes_in(tmp_path))
    first, both = sizes
    day = first + 23 * (both - first)
    print(f"a day at 30 frames/s: {day / 1e6:.1f} MB, of which every frame of the first {LogConfig().raw_s:.0f} s")
    assert 5e6 < day < 20e6
    run = find_runs([tmp_path])[0]
    assert (run.footer.lost_records, run.missing) == (0, [])


def _wait_until_written(log: LatencyLog) -> None:
    while log._lines:
        time.sleep(0.01)


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_writes_come_in_blocks(tmp_path: Path):
    """An SD card wears by the write: between the first line and the end nothing is written within flush_s."""
    clock = Clock()
    with LatencyLog(tmp_path, header(start_ns=0), replaced(flush_s=600), clock=clock) as log:
        before = log.path.stat().st_size
        for number in range(300):
            log(result(number, clock(), timings(MS)))
        assert log.path.stat().st_size == before
    assert len(read_run(log.path).frames) == 300


@pytest.fixture
def hanging_disk(tmp_path: Path) -> Iterator[tuple[Header, int]]:
    """(header, reader): the log of this header goes into a pipe, which takes 64 KB and no more until it is read."""
    about = header()
    os.mkfifo(tmp_path / f"{stem_of(about)}.jsonl")
    reader = os.open(tmp_path / f"{stem_of(about)}.jsonl", os.O_RDONLY | os.O_NONBLOCK)
    yield about, reader
    os.close(reader)


def test_a_disk_that_hangs_holds_up_neither_the_loop_nor_the_end(
    tmp_path: Path, hanging_disk: tuple[Header, int], caplog: pytest.LogCaptureFixture
):
    log = LatencyLog(tmp_path, hanging_disk[0], replaced(flush_s=0.1))
    for number in range(2000):  # ten times what the pipe takes
        log(result(number, 0, timings(MS)))
        if number % 100 == 0:
            time.sleep(0.01)
    log.close()
    assert "the disk does not answer" in caplog.text


def test_what_waits_for_a_disk_is_bounded_and_the_rest_counted(tmp_path: Path, hanging_disk: tuple[Header, int]):
    about, reader = hanging_disk
    log = LatencyLog(tmp_path, about, replaced(flush_s=0.1, part_mb=1000))
    received: list[bytes] = []

    def read_at_last() -> None:
        os.set_blocking(reader, True)
        while block := os.read(reader, 1 << 20):
            received.append(block)

    for number in range(50_000):
        log(result(number, 0, timings(MS)))
    disk = threading.Thread(target=read_at_last)
    disk.start()
    log.close()
    disk.join(30)
    records = [json.loads(line) for line in b"".join(received).splitlines()]
    frames = sum(record["record"] == "frame" for record in records)
    assert frames < 45_000
    assert records[-1]["record"] == "footer"
    assert (records[-1]["frames"], frames + records[-1]["lost_records"]) == (50_000, pytest.approx(50_000, abs=2))


@pytest.mark.parametrize("raw_s", [0, 1e9])
def test_no_frame_allocates_more_than_4_kb_outside_of_preprocessing_and_inference(raw_s: float, tmp_path: Path):
    """All of decision, log, histograms and sinks; the closing of a window, each 30 s, is not every frame."""
    prediction = Prediction((0.1,) * 10, 1.0)
    decision, score = Decision(0.3, 0.3, 0.15), Score()
    peaks = []
    with LatencyLog(tmp_path, header(), replaced(raw_s=raw_s, flush_s=600)) as log, Progress(0) as progress:
        sinks = (log, AnswerPrinter(lambda line: None), progress, LastResult(), score)
        tracemalloc.start()
        for number in range(900):
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            answer = decision(prediction, number * PERIOD_NS)
            shown = dataclasses.replace(result(number, 0, timings(5 * MS + number)), decision=answer)
            for sink in sinks:
                sink(shown)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
        tracemalloc.stop()
    settled = peaks[300:]  # until then the histograms grow to the range of the times
    assert max(settled) < 4096


def test_gaps_are_logged_and_split_the_windows(tmp_path: Path):
    clock = Clock()
    with LatencyLog(tmp_path, header(start_ns=0), PLENTY, clock=clock) as log:
        for number in range(30):
            log(result(number, clock(), timings(MS)))
            clock.sleep(PERIOD_NS)
        gone_ns = clock()
        clock.sleep(60 * SECOND)
        log.gap(gone_ns, clock(), "unplugged")
        log(result(30, clock(), timings(MS, wait_ns=60 * SECOND)))
        for number in range(31, 60):
            clock.sleep(PERIOD_NS)
            log(result(number, clock(), timings(MS)))
        clock.sleep(PERIOD_NS)
    run = read_run(log.path)
    waits = [frame.wait_ns for frame in run.frames]
    assert waits[30] is None  # The gap is not a wait too: one unplugging would be the slowest of all waits.
    assert [wait for number, wait in enumerate(waits) if number != 30] == [PERIOD_NS - MS] * 59
    assert [(gap.start_ns, gap.end_ns, gap.reason) for gap in run.gaps] == [
        (gone_ns, gone_ns + 60 * SECOND, "unplugged")
    ]
    assert [window.frames for window in run.windows] == [30, 30]
    summary = summarize(run)
    assert summary["stages"]["wait"]["n"] == 59
    assert summary["stages"]["wait"]["max_us"] == pytest.approx((PERIOD_NS - MS) / 1000, rel=0.01)
    assert summary["gaps"] == {"n": 1, "seconds": 60}
    assert summary["rate_hz"] == pytest.approx(30.3, rel=0.01)  # of the time with a camera


def test_close_twice_is_fine(tmp_path: Path):
    log = LatencyLog(tmp_path, header(), PLENTY)
    log.close()
    log.close()
    assert read_run(log.path).footer.ended == "error"


def test_many_windows_keep_the_times_of_one_run_apart(tmp_path: Path):
    path = write_log(tmp_path, [5 * MS] * 3000)
    run = read_run(path)
    assert [window.number for window in run.windows] == list(range(len(run.windows)))
    for window, after in zip(run.windows, run.windows[1:], strict=False):
        assert window.end_ns == after.start_ns
    assert all(window.end_ns - window.start_ns < 31 * SECOND for window in run.windows)
