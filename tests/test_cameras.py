"""What each recorded source has of its own; what all cameras share is in test_camera_contract.py."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.camera import Camera, open_camera
from device.cameras.pace import Pace
from device.config import CameraConfig
from device.errors import CameraError


def write_video(path: Path, frames: int = 20, rate_hz: float = 25.0) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate_hz, (160, 120))
    for number in range(frames):
        writer.write(np.full((120, 160, 3), 10 * number, np.uint8))
    writer.release()


def opened(source: str, *, paced: bool = False, rate_hz: float = 50.0) -> Camera:
    return open_camera(CameraConfig(source=source, frame_rate_hz=rate_hz), paced=paced)


def test_a_slow_reader_of_a_video_gets_the_newest_frame(tmp_path: Path):
    write_video(tmp_path / "clip.avi", frames=50, rate_hz=100.0)
    with opened(str(tmp_path / "clip.avi"), paced=True) as camera:
        frames = iter(camera)
        next(frames)
        time.sleep(0.2)
        late = next(frames)
    assert late.sequence >= 15
    assert late.pixels.mean() == pytest.approx(min(255, 10 * late.sequence), abs=6)


def test_a_folder_is_worked_through_whole_however_slow_the_reader(tmp_path: Path):
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((30, 30), np.uint8))
    with opened(str(tmp_path), paced=True, rate_hz=500.0) as camera:
        assert [frame.sequence for frame in camera if not time.sleep(0.01)] == list(range(6))


def test_pace_is_exact_on_a_scripted_clock():
    now = [0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += round(seconds * 1e9)

    pace = Pace(10.0, clock=lambda: now[0], sleep=sleep)
    assert pace.wait(0) == (0, 0)
    assert pace.wait(1) == (1, 100_000_000)
    assert slept == [0.1]
    now[0] = 730_000_000
    assert pace.wait(2) == (7, 700_000_000)


def test_unreadable_images_are_named_and_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((30, 30), np.uint8))
    (tmp_path / "b.png").write_bytes(b"no image")
    with opened(str(tmp_path)) as camera:
        assert [Path(frame.origin).name for frame in camera] == ["a.png"]
    assert "b.png" in caplog.text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "none.mp4", "no such file or folder"),
        (lambda folder: folder, "no image in this folder"),
        (lambda folder: "ftp://somewhere", "unknown kind of camera; expected csi://0"),
    ],
)
def test_a_source_that_cannot_be_opened_is_named(tmp_path: Path, make, message: str):
    with pytest.raises(CameraError, match=message):
        opened(str(make(tmp_path)))


def test_a_file_that_is_no_video_is_named(tmp_path: Path):
    path = tmp_path / "notes.mp4"
    path.write_text("no video")
    with pytest.raises(CameraError, match=r"notes\.mp4: not a video"):
        opened(str(path))


def test_a_folder_of_which_nothing_can_be_read_is_an_error(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"")
    with opened(str(tmp_path)) as camera, pytest.raises(CameraError, match="none of its images"):
        list(camera)


def test_the_synthetic_camera_knows_the_truth_and_shows_all_ten_classes():
    with opened("synthetic://") as camera:
        frames = list(itertools.islice(camera, 0, 200, 20))
    assert len({frame.truth for frame in frames}) == 10
    assert frames[0].pixels.shape == (480, 640, 3)
