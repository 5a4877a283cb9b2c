"""A camera that goes away and comes back: said once, counted, no frame answered twice, and it never hangs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from camera_backends import Csi, ready
from conftest import ROOT
from device.errors import CameraError
from device.frame import Frame
from device.reconnect import Reconnecting


class ScriptedCamera:
    """Gives `frames` frames, then fails; counts how often it was closed."""

    frame_count = 0
    description = "scripted"

    def __init__(self, frames: int, first_ns: int = 0, ends: bool = False) -> None:
        self._frames, self._first_ns, self._ends = frames, first_ns, ends
        self.closed = 0

    def __iter__(self) -> Iterator[Frame]:
        for sequence in range(0, 2 * self._frames, 2):  # every other one is lost on the way
            yield Frame(np.zeros((2, 2), np.uint8), sequence, self._first_ns + sequence)
        if not self._ends:
            raise CameraError("scripted: gone; plug it in")

    def close(self) -> None:
        self.closed += 1


def reconnecting(*cameras: ScriptedCamera, **options: object) -> Reconnecting:
    first, *others = cameras
    return Reconnecting(first, iter(others).__next__, first_wait_s=0.001, longest_wait_s=0.002, **options)


def test_frames_go_on_under_new_numbers_and_gaps_are_told(caplog: pytest.LogCaptureFixture):
    gaps: list[tuple[int, int, str]] = []
    lost = [ScriptedCamera(2, 100), ScriptedCamera(0), ScriptedCamera(0), ScriptedCamera(1, 500)]
    camera = reconnecting(*lost, ScriptedCamera(1, 900, ends=True), on_gap=lambda *gap: gaps.append(gap))
    assert [frame.sequence for frame in camera] == [0, 2, 3, 4]
    assert gaps == [(102, 500, "scripted: gone; plug it in"), (500, 900, "scripted: gone; plug it in")]
    assert caplog.text.count("trying again") == 2  # once a gap, though the first took three attempts
    assert caplog.text.count("back after") == 2
    assert all(camera.closed for camera in lost)


def test_it_waits_longer_and_longer_and_tells_a_gap_that_the_end_cuts_off():
    waited: list[float] = []
    gaps: list[tuple[int, int, str]] = []

    def wait(seconds: float, stopped: Callable[[], bool]) -> None:
        waited.append(seconds)
        if len(waited) == 5:
            camera.close()
        assert stopped() == (len(waited) == 5)

    camera = Reconnecting(
        ScriptedCamera(1),
        lambda: ScriptedCamera(0),
        on_gap=lambda *gap: gaps.append(gap),
        first_wait_s=1,
        longest_wait_s=5,
        wait=wait,
    )
    assert len(list(camera)) == 1
    assert waited == [1, 2, 4, 5, 5]
    assert len(gaps) == 1


@pytest.fixture
def simulated_pi(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `python -m device` on a simulated Pi."""
    with ready(Csi, tmp_path):
        pass  # skips where picamera2 is missing
    processes = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, str(ROOT / "tests" / "simulated_pi.py"), *map(str, arguments)]
        processes.append(
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def wait_for_line(process: subprocess.Popen[str], text: str) -> list[str]:
    """The lines of standard error up to the one that holds `text`."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError("".join(lines))


@pytest.mark.parametrize("in_gap", [False, True], ids=["running", "while it is away"])
def test_a_run_survives_an_unplugged_camera_and_ends_promptly(simulated_pi, tmp_path: Path, in_gap: bool):
    process = simulated_pi("run", "--source", "csi://0", "--log", tmp_path)
    log = wait_for_log(tmp_path)
    time.sleep(1)
    for _ in range(2):
        process.send_signal(signal.SIGUSR1)
        wait_for_line(process, "trying again")
        time.sleep(2.0)  # several attempts, none of which says anything
        process.send_signal(signal.SIGUSR2)
        assert "back after" in wait_for_line(process, "WARNING")[-1]
        time.sleep(0.5)
    if in_gap:
        process.send_signal(signal.SIGUSR1)
        wait_for_line(process, "trying again")
        time.sleep(1.0)
    sent = time.monotonic()
    process.send_signal(signal.SIGTERM)
    errors = process.communicate(timeout=30)[1]
    assert time.monotonic() - sent < 2
    assert (process.returncode, "Traceback" in errors, "trying again" in errors) == (0, False, False)
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert (records[-1]["record"], records[-1]["ended"]) == ("footer", "signal")
    frames = [record for record in records if record["record"] == "frame"]
    assert len(frames) > 30
    for field in ("sequence", "captured_ns"):
        values = [frame[field] for frame in frames]
        assert values == sorted(set(values))


def wait_for_log(folder: Path) -> Path:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for path in folder.glob("*.jsonl"):
            return path
        time.sleep(0.05)
    raise AssertionError(f"no log in {folder}")


@pytest.mark.parametrize("source", ["gst:nosuchelement", "csi://3", "/dev/video77", "http://127.0.0.1:1/"])
def test_a_camera_that_never_was_there_is_an_error_and_nothing_to_wait_for(simulated_pi, tmp_path: Path, source: str):
    process = simulated_pi("run", "--source", source, "--log", tmp_path)
    errors = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in errors
    assert not list(tmp_path.glob("*.jsonl"))
