"""Log files on full, read-only and cut off disks: the loop goes on, what is readable is read, the rest is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from conftest import ROOT, SHIPPED_MODEL, device_command
from device.errors import LogError
from device.latency_log import LatencyLog
from device.latency_read import find_runs, read_run
from device.log_files import LogFiles, parts_of
from device.report import render, summarize
from latency_logs import MS, PLENTY, header, jittered, read_log, write_log

SMALL_PARTS = msgspec.structs.replace(PLENTY, part_mb=0.02, total_mb=0.1)


def files(folder: Path, stem: str = "20260101T000000-0123abcd", **limits: int) -> LogFiles:
    defaults = {"part_bytes": 1000, "total_bytes": 10_000, "keep_free_bytes": 0}
    return LogFiles(folder, stem, lambda part: b"header %d\n" % part, **{**defaults, **limits})


def on_a_disk_of_its_own(script: str, folder: Path, options: str) -> subprocess.CompletedProcess[str]:
    """Run a Python script with a small tmpfs mounted on `folder`, in a mount namespace of its own."""
    if subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "x", folder], capture_output=True).returncode:
        pytest.skip("needs mount namespaces (unshare -rm) for a disk of its own")
    command = 'mount -t tmpfs -o "$1" small "$2" && exec "$3" -c "$4" "$2"'
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, "sh", options, folder, sys.executable, script],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )  # fmt: skip


def test_a_run_goes_on_in_parts_and_is_read_as_one(tmp_path: Path):
    totals = list(jittered(np.random.default_rng(1), 5 * MS, 400))
    path = write_log(tmp_path, totals, settings=msgspec.structs.replace(SMALL_PARTS, total_mb=10))
    parts = parts_of(path)
    assert len(parts) > 3
    assert [number for number, _ in parts] == list(range(len(parts)))
    for number, part in parts:
        first = json.loads(part.read_text().splitlines()[0])
        assert (first["record"], first["part"]) == ("header", number)
        whole = read_run(part)
        assert [frame.total_ns for frame in whole.frames] == totals
        assert (whole.missing, whole.path) == ([], path)
    assert len(find_runs([tmp_path])) == 1
    assert find_runs([parts[1][1], parts[2][1], tmp_path])[0].footer is not None


def test_all_logs_together_stay_within_their_limit_and_only_logs_are_removed(tmp_path: Path):
    (tmp_path / "notes.jsonl").write_text("mine\n")
    (tmp_path / "20200101T000000-picture.png").write_text("mine\n")
    old = write_log(tmp_path, [MS] * 50, about=header(start_utc="2020-01-01T00:00:00+00:00"))
    run = read_log(tmp_path, [5 * MS] * 1000, settings=SMALL_PARTS)
    assert sum(path.stat().st_size for path in tmp_path.glob("*-*.jsonl")) <= 1.05 * SMALL_PARTS.total_mb * 1e6
    assert not old.exists()
    assert (tmp_path / "notes.jsonl").exists()
    assert (tmp_path / "20200101T000000-picture.png").exists()
    # The oldest parts of the run itself went too, and the report says so.
    assert run.footer is not None
    assert run.missing[0].startswith("part 0, 1, 2")
    assert run.frames[-1].sequence == 999
    assert "missing from this log: part 0" in render(summarize(run))


def test_free_space_is_left_to_others(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    disk = os.statvfs(tmp_path)
    log = files(tmp_path, keep_free_bytes=disk.f_bavail * disk.f_frsize * 2)
    log.write([b"line\n"] * 3)
    log.close()
    assert log.lost == 3
    assert list(tmp_path.iterdir()) == []
    assert caplog.text.count("are free (log.keep_free_mb); going on without it") == 1


def test_wrong_settings_are_named_at_the_start(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match="name a writable folder"):
        files(tmp_path / "file")
    with pytest.raises(LogError, match="name a writable folder"):
        files(Path("/proc/none"))


FULL = """
import json, os, sys, time
from pathlib import Path
import msgspec
from latency_logs import MS, PLENTY, header, result, timings
from device.latency_log import LatencyLog
from device.latency_read import read_run

folder = Path(sys.argv[1])
(folder / "others").write_bytes(bytes(200_000))
log = LatencyLog(folder, header(), msgspec.structs.replace(PLENTY, flush_s=0.1))
for number in range(700):
    log(result(number, 0, timings(MS)))
    if number % 20 == 0:
        time.sleep(0.12)  # a block
    if number == 500:
        os.truncate(folder / "others", 0)  # Somebody makes room.
log.close()
read = read_run(log.path)
print(json.dumps({"sequences": [frame.sequence for frame in read.frames], "missing": read.missing,
                  "lost": read.footer.lost_records, "frames": read.footer.frames}))
"""


def test_a_full_disk_loses_records_says_how_many_and_is_used_again(tmp_path: Path):
    done = on_a_disk_of_its_own(FULL, tmp_path, "size=300k")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    sequences = answer["sequences"]
    assert {0, 699} <= set(sequences)
    assert sequences == sorted(sequences)
    assert 100 < len(sequences) < 690
    assert answer["frames"] == 700
    assert answer["lost"] >= 700 - len(sequences) - 1  # one line may have been torn rather than lost
    assert any("the disk did not take" in text for text in answer["missing"])
    assert done.stderr.count("No space left on device; going on without it") == 1


READ_ONLY = """
import json, subprocess, sys, time
from pathlib import Path
from latency_logs import MS, PLENTY, header, result, timings
from device.latency_log import LatencyLog
from device.latency_read import read_run
import msgspec
folder = Path(sys.argv[1])
log = LatencyLog(folder, header(), msgspec.structs.replace(PLENTY, flush_s=0.1))
for number in range(100):
    log(result(number, 0, timings(MS)))
time.sleep(0.5)
assert not list(folder.iterdir())
subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
for number in range(100, 200):
    log(result(number, 0, timings(MS)))
log.close()
read = read_run(log.path)
print(json.dumps([[f.sequence for f in read.frames], read.footer.lost_records]))
"""


def test_a_read_only_disk_is_said_once_and_tried_again(tmp_path: Path):
    done = on_a_disk_of_its_own(READ_ONLY, tmp_path, "size=1m,ro")
    assert done.returncode == 0, done.stderr
    sequences, lost = json.loads(done.stdout)
    assert sequences[-1] == 199
    assert lost >= 99
    assert len(sequences) + lost == pytest.approx(200, abs=2)
    assert done.stderr.count("Read-only file system; going on without it") == 1


PROGRAM = """
import sys
from device.cli import main
run = ["run", "--source", "synthetic://", "--frames", "300", "--as-fast-as-possible", "--log", sys.argv[1]]
sys.exit(main([*run, "--config", {config!r}]))
"""


@pytest.mark.parametrize(
    ("options", "said"),
    [("size=64k", "missing from this log"), ("size=64k,ro", "no summary: ")],
    ids=["full", "read-only"],
)
def test_the_program_answers_all_frames_whatever_the_disk(options: str, said: str, tmp_path: Path):
    config, disk = tmp_path / "config.yaml", tmp_path / "disk"
    config.write_text(f"log: {{keep_free_mb: 0, flush_s: 0.1}}\nmodel: {{path: {SHIPPED_MODEL}}}")
    disk.mkdir()
    done = on_a_disk_of_its_own(PROGRAM.format(config=str(config)), disk, options)
    assert done.returncode == 0, done.stderr
    assert "of 300 frames" in done.stdout
    assert said in done.stdout
    assert "Traceback" not in done.stderr


def test_a_killed_run_is_read_up_to_its_last_block(tmp_path: Path):
    """SIGKILL is a power cut but for what the kernel had not written yet."""
    config, logs = tmp_path / "config.yaml", tmp_path / "logs"
    config.write_text(f"log: {{keep_free_mb: 0, flush_s: 0.2, warmup_s: 0}}\nmodel: {{path: {SHIPPED_MODEL}}}")
    command = [sys.executable, "-m", "device", "run", "--source", "synthetic://", "--log", logs, "--config", config]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while sum(path.stat().st_size for path in logs.glob("*.jsonl")) < 10_000 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
    run = find_runs([logs])[0]
    assert len(run.frames) > 10
    assert len(run.histogram("total")) == len(run.frames) - 1  # without the first, which is of the warm-up
    assert run.missing[-1] == "the end: the run was cut off, or still goes on"


def test_a_torn_line_costs_itself_only(tmp_path: Path):
    """A disk that fills in the middle of a line."""
    log = files(tmp_path, part_bytes=10**6)
    log.write([b"one\n"])
    good, log._file = log._file, _FullAfter(log._file, 6)
    log.write([b"two\n", b"three\n"])
    log._file = good
    log.write([b"four\n"])
    log.close()
    assert log.path.read_bytes() == b"header 0\none\ntwo\nth\nfour\n"
    assert log.lost == 2


class _FullAfter:
    """A file on a disk with room for so many bytes."""

    def __init__(self, file: object, room: int) -> None:
        self._file, self._room = file, room

    def write(self, block: bytes) -> int:
        if not self._room:
            raise OSError(28, "No space left on device")
        written = self._file.write(block[: self._room])
        self._room -= written
        return written


def test_a_log_cut_at_any_byte_is_read_up_to_there(tmp_path: Path):
    """A power cut. Whatever is whole in the file is in the report, and the report says that the end is missing."""
    totals = [(number + 1) * MS for number in range(6)]
    path = write_log(tmp_path, totals, warmup=2)
    content = path.read_bytes()
    header_size = content.index(b"\n") + 1
    for size in range(header_size, len(content)):
        path.write_bytes(content[:size])
        run = read_run(path)
        lines = content[:size].split(b"\n")
        whole = [line for line in lines[:-1] if b'"record":"frame"' in line]
        assert len(run.frames) in (len(whole), len(whole) + 1)  # a line whose newline alone was cut is whole
        assert sum(window.frames for window in run.windows) == len(run.frames)  # counted anew where their window is cut
        summary = summarize(run)
        if run.footer is None:
            assert any("the end: the run was cut off" in text for text in summary["missing"])
        assert render(summary)
    for size in range(0, header_size - 1, 7):
        path.write_bytes(content[:size])
        with pytest.raises(LogError, match="header is missing"):
            read_run(path)


def test_random_damage_never_raises_and_is_counted(tmp_path: Path):
    path = write_log(tmp_path, [5 * MS] * 60)
    content = path.read_bytes()
    rng = np.random.default_rng(3)
    header_size = content.index(b"\n") + 1
    for _ in range(200):
        damaged = bytearray(content)
        for at in rng.integers(header_size, len(content), 10):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        run = read_run(path)
        assert len(run.frames) >= 40
        assert render(summarize(run))


def test_windows_lost_in_the_middle_are_named(tmp_path: Path):
    settings = msgspec.structs.replace(PLENTY, raw_s=0)
    path = write_log(tmp_path, [5 * MS] * 5000, settings=settings)
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if b'"number":2,' not in line]
    path.write_bytes(b"".join(lines))
    assert read_run(path).missing == ["1 windows between those that are there"]


def test_no_log_is_named(tmp_path: Path):
    with pytest.raises(LogError, match="none.jsonl: No such file"):
        read_run(tmp_path / "none.jsonl")
    (tmp_path / "other.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(LogError, match="header is missing"):
        read_run(tmp_path / "other.jsonl")
    with pytest.raises(LogError, match="no latency log"):
        find_runs([tmp_path])
    done = device_command("report", tmp_path / "other.jsonl")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


def test_a_folder_is_all_its_runs_and_what_is_no_log_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "other.jsonl").write_text('{"a": 1}\n')
    for day in (2, 1):
        write_log(tmp_path, [MS] * 10, about=header(start_utc=f"2026-01-0{day}T00:00:00+00:00"))
    runs = find_runs([tmp_path])
    assert [run.header.start_utc[:10] for run in runs] == ["2026-01-01", "2026-01-02"]
    assert "other.jsonl" in caplog.text


def test_lines_of_a_newer_program_are_counted_and_passed_over(tmp_path: Path):
    path = write_log(tmp_path, [MS] * 5)
    path.write_bytes(path.read_bytes().replace(b'{"record":"footer"', b'{"record":"dream"}\n{"record":"footer"'))
    run = read_run(path)
    assert (len(run.frames), run.missing) == (5, ["1 unreadable lines"])


def test_the_log_may_be_read_while_it_is_written(tmp_path: Path):
    with LatencyLog(tmp_path, header(), PLENTY) as log:
        assert "the run was cut off, or still goes on" in read_run(log.path).missing[0]
