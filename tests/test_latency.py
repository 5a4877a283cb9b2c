"""The latency log survives cuts and full disks; the report says only what the log shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_loop import frames, run_frames

from device.errors import LogError
from device.latency import FrameRecord, LatencyLog, new_header, read_log
from device.report import percentile, render, summarize

US = 1000


def header() -> object:
    facts = dict.fromkeys(
        ("source", "model", "model_sha256", "preprocessing", "runtime", "config_sha256", "machine"), "x"
    )
    return new_header(**facts, threads=1, versions={})


def written_log(folder: Path, totals_us: list[int], *, warmup: int = 0, skipped: int = 0) -> Path:
    """A log with one frame of each total; stages are 10 %, 30 % and 60 % of it."""
    with LatencyLog(folder, header()) as log:
        for number, total in enumerate(totals_us):
            record = FrameRecord(
                sequence=number,
                captured_ns=number * 33_000_000,
                wait_ns=total * US // 10,
                preprocess_ns=total * US * 3 // 10,
                inference_ns=total * US * 6 // 10,
                total_ns=total * US,
                skipped=skipped,
                label="Bag",
                score=0.9,
                decision="Bag",
                warmup=number < warmup,
            )
            log._append(record)
            log.frames += 1
        log.ended = "frames"
    return log.path


def test_what_is_written_is_what_is_read(tmp_path: Path):
    results = run_frames(frames(0, 1, 5), list(range(0, 3000, 7)))
    with LatencyLog(tmp_path, header()) as log:
        for result in results:
            log(result)
        log.ended = "frames"
    read = read_log(log.path)
    assert [frame.total_ns for frame in read.frames] == [result.timings.total_ns for result in results]
    assert [frame.skipped for frame in read.frames] == [0, 0, 3]
    assert [frame.warmup for frame in read.frames] == [True, False, False]
    assert (read.footer.frames, read.footer.ended, read.footer.lost_records) == (3, "frames", 0)
    for line in log.path.read_text().splitlines():
        assert json.loads(line)["record"] in ("header", "frame", "footer")


def test_writes_come_in_blocks(tmp_path: Path):
    """One write each flush_s, not one a frame: an SD card wears by the write."""
    now = [0]
    result = run_frames(frames(0), list(range(100)))[0]
    with LatencyLog(tmp_path, header(), flush_s=5.0, clock=lambda: now[0]) as log:
        sizes = set()
        for number in range(300):
            now[0] = number * 33_000_000  # ten seconds at 30 frames/s
            log(result)
            sizes.add(log.path.stat().st_size)
    assert len(sizes) == 2


@pytest.mark.parametrize("cut", [2, 20, 300])
def test_a_torn_log_is_read_up_to_the_cut(tmp_path: Path, cut: int):
    path = written_log(tmp_path, list(range(100, 200)))
    path.write_bytes(path.read_bytes()[:-cut])
    read = read_log(path)
    assert read.footer is None
    assert read.unreadable_lines == 1
    assert len(read.frames) >= 97
    assert "no footer" in summarize(read)["verdict"]


def test_lines_damaged_in_the_middle_are_counted(tmp_path: Path):
    path = written_log(tmp_path, list(range(100, 200)))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[10] = b'{"record":"frame","sequence":"x"}\n'
    lines[20] = b"\xff\xfe\x00\n"
    path.write_bytes(b"".join(lines))
    read = read_log(path)
    assert (len(read.frames), read.unreadable_lines) == (98, 2)


def test_no_log_is_named(tmp_path: Path):
    with pytest.raises(LogError, match="none.jsonl: No such file"):
        read_log(tmp_path / "none.jsonl")
    (tmp_path / "other.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(LogError, match="header is missing"):
        read_log(tmp_path / "other.jsonl")
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match="name a writable folder"):
        LatencyLog(tmp_path / "file", header())


def test_a_full_disk_loses_records_and_says_how_many(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    result = run_frames(frames(0), list(range(100)))[0]
    with LatencyLog(tmp_path, header(), flush_s=0) as log:
        good = log._file
        with open("/dev/full", "wb", buffering=0) as log._file:
            log(result)
            log(result)
        log._file = good
        log(result)
    read = read_log(log.path)
    assert (len(read.frames), read.footer.lost_records, read.footer.frames) == (1, 2, 3)
    assert caplog.text.count("going on without it") == 1


def test_percentiles_are_nearest_rank():
    values = list(range(1, 101))
    assert [percentile(values, percent) for percent in (50, 90, 95, 99)] == [50, 90, 95, 99]
    assert percentile([7], 50) == 7


def test_the_report_counts_what_it_should(tmp_path: Path):
    totals = [100_000] * 10 + list(range(1, 201))  # ten slow frames of warm-up
    summary = summarize(read_log(written_log(tmp_path, totals, warmup=10)))
    assert (summary["frames"], summary["warmup_frames"], summary["ended"]) == (200, 10, "frames")
    assert summary["stages"]["total"] == {
        "n": 200, "p50_us": 100.0, "p90_us": 180.0, "p95_us": 190.0, "p99_us": 198.0, "max_us": 200.0,
    }  # fmt: skip
    assert summary["stages"]["inference"]["p50_us"] == pytest.approx(60.0)
    assert summary["rate_hz"] == pytest.approx(1000 / 33)
    assert "inference is 60% of it" in summary["verdict"]
    assert "198" in render(summary)


def test_few_frames_give_no_p99(tmp_path: Path):
    summary = summarize(read_log(written_log(tmp_path, [100] * 99)))
    assert summary["stages"]["total"]["p99_us"] is None
    assert "no p99 yet" in summary["verdict"]
    nothing = summarize(read_log(written_log(tmp_path / "b", [100], warmup=1)))
    assert nothing["stages"]["total"] == dict.fromkeys(nothing["stages"]["total"], None) | {"n": 0}
    assert "nothing can be said" in nothing["verdict"]
    assert render(nothing)


def test_skipped_frames_are_in_the_verdict(tmp_path: Path):
    assert "missed 40 frames" in summarize(read_log(written_log(tmp_path, [100] * 20, skipped=2)))["verdict"]
