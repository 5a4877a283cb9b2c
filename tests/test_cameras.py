"""One contract that every camera passes."""

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


@pytest.fixture(params=["synthetic", "image", "folder", "video"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "synthetic":
        return "synthetic://"
    if request.param == "video":
        write_video(tmp_path / "clip.avi")
        return str(tmp_path / "clip.avi")
    for number in range(1 if request.param == "image" else 5):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((60, 80, 3), 40 * number, np.uint8))
    return str(tmp_path / "0.png" if request.param == "image" else tmp_path)


def opened(source: str, *, paced: bool = False, rate_hz: float = 50.0) -> Camera:
    return open_camera(CameraConfig(source=source, frame_rate_hz=rate_hz), paced=paced)


class TestContract:
    def test_frames_are_bytes_in_order_with_times_that_never_go_back(self, source: str):
        with opened(source, paced=True) as camera:
            before = time.monotonic_ns()
            frames = list(itertools.islice(camera, 4))
        assert frames
        assert all(frame.pixels.dtype == np.uint8 and frame.pixels.ndim in (2, 3) for frame in frames)
        sequences = [frame.sequence for frame in frames]
        assert sequences == sorted(set(sequences))
        times = [frame.captured_ns for frame in frames]
        assert times == sorted(times)
        assert before - 1e9 <= times[0]
        assert times[-1] <= time.monotonic_ns()

    def test_frames_belong_to_the_reader(self, source: str):
        """A frame that is kept does not change when the next is read."""
        with opened(source) as camera:
            frames = iter(camera)
            first = next(frames)
            kept = first.pixels.copy()
            next(frames, None)
        np.testing.assert_array_equal(first.pixels, kept)

    def test_closing_twice_is_fine_and_ends_the_frames(self, source: str):
        camera = opened(source)
        frames = iter(camera)
        next(frames)
        camera.close()
        camera.close()
        assert next(frames, None) is None

    def test_it_says_what_it_is_and_how_many_frames_come(self, source: str):
        with opened(source) as camera:
            assert camera.description
            if camera.frame_count:
                assert len(list(camera)) == camera.frame_count

    def test_opening_it_again_gives_the_same_frames(self, source: str):
        def first_frames() -> list[np.ndarray]:
            with opened(source) as camera:
                return [frame.pixels for frame in itertools.islice(camera, 3)]

        for one, other in zip(first_frames(), first_frames(), strict=True):
            np.testing.assert_array_equal(one, other)


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
