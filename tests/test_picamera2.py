"""`csi://0` on a Pi: the real picamera2 on a simulated camera, and what it relies on.

FAKEPI_PLATFORM=pisp runs it with the strides of a Pi 5; test_picamera2_versions.py does, and with the oldest picamera2.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import itertools
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from camera_backends import Csi, ready
from conftest import device_command
from device.camera import open_camera
from device.cameras.picamera2 import Picamera2Source, widest_mode
from device.config import CameraConfig
from device.errors import CameraError
from device.frame import Frame
from numbered import number_in, numbered


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[object]:
    with ready(Csi, tmp_path) as backend:
        yield backend.sim


def frames_of(count: int, **settings: object) -> list[Frame]:
    with open_camera(CameraConfig(source="csi://0", **{"width_px": 320, "height_px": 240, **settings})) as camera:
        return list(itertools.islice(camera, count))


@pytest.mark.parametrize("width", [320, 300, 416, 704])
def test_the_padding_of_rows_never_shows(sim, width: int):
    """Strides: multiples of 64 bytes on a Pi 4, of 128 on a Pi 5."""
    frame = frames_of(1, width_px=width)[0]
    expected = numbered(width, 240, number_in(frame.pixels))
    np.testing.assert_array_equal(frame.pixels, expected)


def test_gray_reaches_from_0_to_255(sim):
    """Video's usual colour space would squeeze it into 16 to 235."""
    sim.source = lambda width, height, number: np.linspace(0, 255, width).astype(np.uint8)[np.newaxis].repeat(height, 0)
    pixels = frames_of(1)[0].pixels
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_exposure_gain_and_light_come_with_the_frame_they_belong_to(sim):
    sim.metadata = {"ExposureTime": 10000}
    frame = frames_of(1)[0]
    assert (frame.exposure_us, frame.gain, frame.lux) == (10000, 3.0, 400.0)
    age_ms = (frame.dequeued_ns - frame.exposed_ns) / 1e6
    assert 10 + 33 <= age_ms < 500  # exposed, then read out; the simulated processing and a busy machine come on top
    assert frame.captured_ns == frame.exposed_ns


def test_what_the_sensor_does_not_tell_is_none(sim):
    sim.metadata = dict.fromkeys(["ExposureTime", "AnalogueGain", "Lux", "FrameDuration", "SensorTimestamp"])
    first, second = frames_of(2)
    assert (first.exposed_ns, first.exposure_us, first.gain, first.lux) == (None, None, None, None)
    assert first.captured_ns == first.dequeued_ns
    assert second.sequence > first.sequence


@pytest.mark.parametrize("stamp_ns", [1, 2**62])
def test_a_stamp_of_another_clock_is_refused_and_told_once(sim, stamp_ns: int, caplog: pytest.LogCaptureFixture):
    sim.metadata = {"SensorTimestamp": stamp_ns}
    frames = frames_of(4)
    assert [frame.exposed_ns for frame in frames] == [None] * 4
    assert all(frame.captured_ns == frame.dequeued_ns for frame in frames)
    assert caplog.text.count("by its time stamp") == 1


def test_frames_that_the_camera_lost_are_counted(sim):
    sim.startup_frames = 3
    sim.frame_errors = {8, 9, 13}
    frames = frames_of(12)
    shown = [number_in(frame.pixels) for frame in frames]
    assert shown[0] >= 3
    assert not {8, 9, 13} & set(shown)
    assert [frame.sequence - frames[0].sequence for frame in frames] == [number - shown[0] for number in shown]


def test_the_rate_is_what_was_asked_for(sim):
    frames = frames_of(6, frame_rate_hz=10.0)
    steps = np.diff([frame.exposed_ns for frame in frames]) / np.diff([frame.sequence for frame in frames])
    assert np.median(steps) == pytest.approx(100e6, rel=0.05)


def test_the_whole_view_of_the_sensor_is_used(sim):
    with open_camera(CameraConfig(source="csi://0")) as camera:
        next(iter(camera))
        assert simulated_camera()._mode.size == (1640, 1232)


MODES = [
    {"size": (640, 480), "bit_depth": 10, "fps": 103.33, "crop_limits": (1000, 752, 1280, 960)},
    {"size": (1640, 1232), "bit_depth": 8, "fps": 41.85, "crop_limits": (0, 0, 3280, 2464)},
    {"size": (1640, 1232), "bit_depth": 10, "fps": 41.85, "crop_limits": (0, 0, 3280, 2464)},
    {"size": (3280, 2464), "bit_depth": 10, "fps": 21.19, "crop_limits": (0, 0, 3280, 2464)},
]


@pytest.mark.parametrize(
    ("rate_hz", "size"), [(15, (1640, 1232)), (42, (1640, 1232)), (60, (640, 480)), (999, (640, 480))]
)
def test_the_widest_mode_that_is_fast_enough(rate_hz: float, size: tuple[int, int]):
    mode = widest_mode(MODES, rate_hz)
    assert (mode["size"], mode["bit_depth"]) == (size, 10)


def test_a_camera_without_modes_of_its_own_has_no_widest():
    assert widest_mode([], 30) is None
    assert widest_mode([{"format": "MJPEG"}], 30) is None


def test_handles_and_threads_do_not_grow_however_often_it_comes_and_goes(sim):
    def come_and_go() -> tuple[int, int]:
        frames_of(1)
        sim.unplug()
        with pytest.raises(CameraError, match="cannot be started"):
            frames_of(1)
        sim.plug()
        with by_another_program(), pytest.raises(CameraError, match="cannot be opened"):
            frames_of(1)
        return handles_and_threads()

    before = come_and_go()
    for _ in range(4):
        after = come_and_go()
    assert after <= before


def handles_and_threads() -> tuple[int, int]:
    gc.collect()  # What a failed attempt leaves is garbage for a while; growth is what cannot be collected.
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def test_a_busy_camera_a_missing_one_and_an_odd_number_are_named(sim):
    with by_another_program(), pytest.raises(CameraError, match=r"csi://0: cannot be opened.*end other programs"):
        open_camera(CameraConfig(source="csi://0"))
    with pytest.raises(CameraError, match=r"csi://1: no such camera \(1 found\)"):
        open_camera(CameraConfig(source="csi://1"))
    with pytest.raises(CameraError, match="expected csi:// and the camera's number"):
        open_camera(CameraConfig(source="csi://front"))


@contextlib.contextmanager
def by_another_program() -> Iterator[None]:
    """The camera is in use."""
    camera = simulated_camera()
    camera.acquire()
    yield
    camera.release()


def simulated_camera():
    return sys.modules["libcamera"].CameraManager.singleton().cameras[0]


def test_an_old_picamera2_is_refused(sim, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.3.27")
    with pytest.raises(CameraError, match=r"expected picamera2 0\.3\.30, found 0\.3\.27; sudo apt"):
        frames_of(1)


def test_without_picamera2_it_says_how_to_get_it():
    done = device_command("check", "--source", "csi://0")
    assert done.returncode == 1
    assert "sudo apt install python3-picamera2" in done.stderr
    assert "Traceback" not in done.stderr


class TestWhatTheAdapterReliesOn:
    """Facts of picamera2 that were found by trying; should a version change them, it shows here."""

    def test_rows_keep_their_padding(self, sim):
        with started(300) as picam2:
            stride = {"vc4": 320, "pisp": 384}[sim.platform]
            assert picam2.camera_configuration()["main"]["stride"] == stride
            assert picam2.capture_array("main").shape == (360, stride)

    def test_a_stamp_is_of_the_monotonic_clock(self, sim):
        with started() as picam2:
            stamp_ns = picam2.capture_metadata()["SensorTimestamp"]
            age_s = (time.monotonic_ns() - stamp_ns) / 1e9
        assert 0.03 < age_s < 1

    def test_closing_hangs_behind_a_request_that_never_came_until_it_is_cancelled(self, sim):
        with started() as picam2:
            sim.freeze()
            time.sleep(0.3)
            with contextlib.suppress(concurrent.futures.TimeoutError):
                while True:  # one or two are still on their way
                    picam2.capture_request(wait=False).get_result(timeout=0.3).release()
            with concurrent.futures.ThreadPoolExecutor() as pool:
                stopping = pool.submit(picam2.stop)
                with pytest.raises(concurrent.futures.TimeoutError):
                    stopping.result(timeout=0.5)
                picam2.cancel_all_and_flush()
                assert isinstance(stopping.exception(timeout=5), concurrent.futures.CancelledError)


class started:
    """Picamera2 itself, running; `with started() as picam2`."""

    def __init__(self, width: int = 320) -> None:
        self._source = Picamera2Source(0, CameraConfig(source="csi://0", width_px=width, height_px=240))

    def __enter__(self):
        return self._source._camera

    def __exit__(self, *exc_info: object) -> None:
        self._source.close()
