"""The motion gate: rests while nothing moves, wakes with the first frame that does, and leaves nothing uncounted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from conftest import SHIPPED_MODEL
from device.camera import open_camera
from device.cameras.pace import Pace
from device.classifier import Classifier
from device.config import CameraConfig, Config, MotionConfig
from device.decision import Decision
from device.frame import Frame
from device.latency_log import LatencyLog
from device.latency_read import read_run
from device.loop import run
from device.motion import MotionGate, brightness_of_cells
from device.report import render, summarize
from latency_logs import PERIOD_NS, PLENTY, SECOND, Clock, header

REST = MotionConfig(rest=True)


def frames(pictures: Iterator[np.ndarray]) -> Iterator[Frame]:
    for number, pixels in enumerate(pictures):
        yield Frame(pixels, number, number * PERIOD_NS)


def answered(pictures: Iterator[np.ndarray], config: MotionConfig = REST) -> list[bool]:
    gate = MotionGate(config, sleep=lambda seconds: None)
    return [gate(frame) for frame in frames(pictures)]


def scene(count: int, *, colour: bool, noise: float = 5.0, at: int = 0, seed: int = 0) -> Iterator[np.ndarray]:
    """A still room with the noise of a sensor, and a dark box at column `at`, if not 0."""
    rng = np.random.default_rng(seed)
    room = rng.integers(60, 200, (12, 16, 3) if colour else (12, 16), np.uint8)
    room = cv2.resize(room, (640, 480), interpolation=cv2.INTER_CUBIC)
    if at:
        room[200:280, at : at + 80] = 10
    for _ in range(count):
        yield np.clip(room + rng.normal(0, noise, room.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("colour", [False, True])
def test_a_still_scene_is_answered_once_a_second_and_a_motion_at_once(colour: bool):
    told = answered(itertools.chain(scene(300, colour=colour), scene(60, colour=colour, at=300)))
    until_rest = int(REST.still_s * SECOND / PERIOD_NS)
    assert all(told[:until_rest])
    resting = told[until_rest + 1 : 300]
    assert sum(resting) == pytest.approx(len(resting) * PERIOD_NS / SECOND * REST.idle_rate_hz, abs=2)
    assert max(len(list(group)) for told_now, group in itertools.groupby(resting) if not told_now) <= 31
    assert all(told[300:360])  # awake with the very frame, which is within 33 ms


def test_what_creeps_is_noticed():
    """Less than the threshold from frame to frame, but not from where it was."""

    def creeping() -> Iterator[np.ndarray]:
        yield from scene(150, colour=False)
        for step in range(300):
            yield next(scene(1, colour=False, at=300 + step // 3, seed=0))

    told = answered(creeping())
    assert sum(told[150:]) > 290


def test_a_light_that_is_switched_wakes_and_is_the_new_rest():
    told = answered(itertools.chain(scene(150, colour=False), (picture // 2 for picture in scene(300, colour=False))))
    assert told[150]
    assert not all(told[300:])


def test_a_real_video_is_awake_while_something_moves_and_rests_on_its_still_end(tmp_path: Path):
    path = str(tmp_path / "clip.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 30, (640, 480))
    with open_camera(CameraConfig(), paced=False) as camera:
        moving = [frame.pixels for frame in itertools.islice(camera, 90)]
    for pixels in [*moving, *[moving[-1]] * 150]:
        writer.write(pixels)
    writer.release()
    gate = MotionGate(REST, sleep=lambda seconds: None)
    with open_camera(CameraConfig(source=path), paced=False) as camera:
        told = [gate(Frame(frame.pixels, frame.sequence, frame.sequence * PERIOD_NS)) for frame in camera]
    assert len(told) == 240
    assert all(told[:90])
    assert sum(told[155:]) < 10


def test_frames_of_any_size_and_a_camera_that_changes_it():
    for shape in ((1, 1), (7, 3), (28, 28, 3), (1080, 1920), (481, 641, 3)):
        cells = brightness_of_cells(np.full(shape, 77, np.uint8))
        assert (cells.shape[:2], np.unique(cells).tolist()) == ((10, 16), [77])
    assert all(answered(np.full(shape, 9, np.uint8) for shape in ((20, 20), (20, 20, 3), (20, 20))))


def test_every_frame_is_answered_skipped_or_idle(tmp_path: Path):
    """A camera that loses each seventh frame, and goes on while the gate sleeps. The log accounts for each of them."""
    clock = Clock()
    given: list[int] = []

    def camera() -> Iterator[Frame]:
        for frame in frames(scene(600, colour=False)):
            if frame.captured_ns >= clock.now_ns and frame.sequence % 7 != 5:
                clock.now_ns = frame.captured_ns
                given.append(frame.sequence)
                yield frame

    with LatencyLog(tmp_path, header(start_ns=0), msgspec.structs.replace(PLENTY, window_s=3), clock=clock) as log:
        gate = MotionGate(REST, log.idle, sleep=lambda seconds: clock.sleep(round(seconds * SECOND)))
        run(camera(), Classifier(SHIPPED_MODEL), Decision(0.3), [log], gate=gate, clock=clock)
    found = read_run(log.path)
    answered_frames, skipped, idle = (
        sum(getattr(window, what) for window in found.windows) for what in ("frames", "skipped", "idle")
    )
    assert answered_frames + skipped + idle == given[-1] + 1
    assert skipped >= 60 // 7
    assert idle > 450
    assert len(given) < 300  # the others were not even looked at
    assert found.missing == []
    summary = summarize(found)
    assert summary["idle"] == idle - sum(window.idle for window in found.windows if window.warmup)
    assert f"{summary['idle']} idle (nothing moved)" in render(summary)


def test_a_motion_is_seen_within_200_ms_on_a_real_clock():
    """Frames at 30 a second, of which a reader that sleeps gets the newest; something moves at 1.5 s."""
    still, moved = next(scene(1, colour=False)), next(scene(1, colour=False, at=300))
    gate = MotionGate(MotionConfig(rest=True, still_s=0.2, idle_rate_hz=0.5))
    pace = Pace(30)
    sequence = -1
    while True:
        sequence, captured_ns = pace.wait(sequence + 1)
        if gate(Frame(moved if sequence >= 45 else still, sequence, captured_ns)) and sequence >= 45:
            break
    assert sequence - 45 <= 6  # frames of 33 ms; a machine that is busy makes the sleep longer


def test_it_rests_only_when_asked():
    assert not Config().motion.rest
