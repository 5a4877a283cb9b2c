"""What each live camera has of its own; what all cameras share is in test_camera_contract.py."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from camera_backends import HEIGHT, WIDTH, GStreamer, Http, children, needs_program, ready
from device.camera import is_live, open_camera
from device.cameras.gstreamer import argus_pipeline
from device.cameras.newest import NewestFrame
from device.cameras.sensor_clock import SensorClock
from device.cameras.stream import without_password
from device.cameras.v4l2 import buffer_time_ns, checked_pixels, pixel_formats
from device.config import CameraConfig
from device.errors import CameraError
from device.frame import Frame


def opened(source: str, width: int = WIDTH):
    return open_camera(CameraConfig(source, width_px=width, height_px=HEIGHT))


@pytest.mark.parametrize(
    ("source", "live"),
    [
        ("csi://0", True),
        ("gst:videotestsrc", True),
        ("/dev/video0", True),
        ("rtsp://camera/1", True),
        ("https://camera/x", True),
        ("synthetic://", False),
        ("clip.mp4", False),
        ("/home/pi/dev/photos", False),
    ],
)
def test_what_is_live_and_what_is_recorded(source: str, live: bool):
    assert is_live(source) == live


class TestNewestFrame:
    class Stuck:
        """A driver that neither gives a frame nor comes back, until `release` is set."""

        description = "stuck"

        def __init__(self, frames: int = 0) -> None:
            self.release, self.closed = threading.Event(), threading.Event()
            self._frames = iter(range(frames))

        def read(self, stopped: Callable[[], bool]) -> Frame | None:
            number = next(self._frames, None)
            if number is None:
                self.release.wait(60)
                return None
            return Frame(np.zeros((2, 2), np.uint8), number, number)

        def close(self) -> None:
            self.closed.set()

    def test_a_driver_that_hangs_is_an_error_and_does_not_hold_up_the_end(self):
        source = self.Stuck(frames=1)
        camera = NewestFrame("stuck", lambda: source, stall_s=0.2)
        frames = iter(camera)
        next(frames)
        with pytest.raises(CameraError, match=r"stuck: nothing came from the camera for 0\.2 s.*unplug it"):
            next(frames)
        start = time.monotonic()
        camera.close()
        camera.close()
        assert time.monotonic() - start < 2
        assert not source.closed.is_set()
        source.release.set()
        assert source.closed.wait(5)

    def test_one_that_hangs_before_its_first_frame_is_an_error_too(self):
        source = self.Stuck()
        camera = NewestFrame("stuck", lambda: source, open_s=0.2)
        with pytest.raises(CameraError, match="nothing came"):
            camera.wait_until_open()
        source.release.set()
        assert source.closed.wait(5)

    def test_what_goes_wrong_in_the_thread_is_raised_in_the_reader(self):
        def broken() -> TestNewestFrame.Stuck:
            raise ZeroDivisionError("a bug")

        with pytest.raises(ZeroDivisionError, match="a bug"):
            list(NewestFrame("broken", broken))

    def test_frames_that_were_read_before_an_error_still_come(self):
        class Failing(self.Stuck):
            def read(self, stopped: Callable[[], bool]) -> Frame | None:
                frame = super().read(stopped) if not self.release.is_set() else None
                self.release.set()
                if frame is None:
                    raise CameraError("failing: gone; plug it in")
                return frame

        camera = NewestFrame("failing", lambda: Failing(frames=1))
        time.sleep(0.3)
        frames = iter(camera)
        assert next(frames).sequence == 0
        with pytest.raises(CameraError, match="gone"):
            next(frames)

    def test_a_camera_that_fails_to_close_is_told_and_no_error(self, caplog: pytest.LogCaptureFixture):
        class Wedged(self.Stuck):
            def close(self) -> None:
                raise RuntimeError("wedged")

        source = Wedged(frames=1)
        source.release.set()
        assert len(list(NewestFrame("wedged", lambda: source))) == 1
        assert "wedged: did not close in order: wedged" in caplog.text


class TestSensorClock:
    @pytest.mark.parametrize(
        ("age_ns", "believed"), [(0, True), (2_000_000_000, True), (2_000_000_001, False), (-1, False)]
    )
    def test_ages_from_0_to_2_seconds_are_believed(self, age_ns: int, believed: bool):
        clock = SensorClock("camera")
        now_ns = 50_000_000_000
        assert clock.exposed_ns(now_ns - age_ns, now_ns) == (now_ns - age_ns if believed else None)
        assert clock.refused == (0 if believed else 1)

    def test_an_unknown_stamp_is_not_a_refused_one(self):
        clock = SensorClock("camera")
        assert clock.exposed_ns(None, 1) is None
        assert clock.refused == 0

    def test_the_time_of_capture_never_goes_back(self):
        clock = SensorClock("camera")
        assert clock.captured_ns(100, 150) == 100
        assert clock.captured_ns(None, 200) == 200  # its stamp was refused: it counts from its arrival
        assert clock.captured_ns(180, 250) == 200
        assert clock.captured_ns(260, 300) == 260


class TestGStreamer:
    @pytest.fixture(autouse=True)
    def _needs_gstreamer(self, tmp_path: Path) -> Iterator[None]:
        needs_program("gst-launch-1.0")
        yield
        until = time.monotonic() + 10
        while children("gst-launch-1.0") and time.monotonic() < until:
            time.sleep(0.05)
        assert children("gst-launch-1.0") == []

    @pytest.mark.parametrize("width", [161, 162, 163, 164])
    def test_rows_of_any_width_come_out_straight(self, width: int):
        """GStreamer pads rows to four bytes; every column of bars keeps its gray from top to bottom."""
        with opened("gst:videotestsrc is-live=true pattern=smpte75 ! video/x-raw,format=I420", width) as camera:
            pixels = next(iter(camera)).pixels
        assert pixels.shape == (HEIGHT, width)
        top = pixels[: HEIGHT // 2]
        assert len(np.unique(top[0])) > 4
        np.testing.assert_array_equal(top, np.broadcast_to(top[0], top.shape))

    def test_the_end_of_a_film_is_the_end_and_no_error(self):
        with opened("gst:videotestsrc num-buffers=20 ! identity sleep-time=20000") as camera:
            sequences = [frame.sequence for frame in camera]
        assert len(sequences) >= 2
        assert sequences == sorted(set(sequences))

    def test_quotes_work_as_in_a_shell(self, tmp_path: Path):
        folder = tmp_path / "with space"
        folder.mkdir()
        with ready(GStreamer, folder) as backend:
            clip = folder / "clip.avi"
            with opened(f"gst:filesrc location='{clip}' ! avidemux ! jpegdec ! identity sync=true") as camera:
                assert next(iter(camera)).pixels.shape == (HEIGHT, WIDTH)
            assert backend.live

    def test_a_killed_child_is_named_with_its_signal(self):
        with opened("gst:videotestsrc is-live=true") as camera:
            frames = iter(camera)
            next(frames)
            for pid in children("gst-launch-1.0"):
                os.kill(pid, signal.SIGKILL)
            with pytest.raises(CameraError, match=r"gst-launch-1\.0 was killed by SIGKILL"):
                list(frames)

    @pytest.mark.parametrize(
        ("pipeline", "said"),
        [
            ("nosuchelement", 'no element "nosuchelement"'),
            ("videotestsrc ! nonsense=1", "syntax error|erroneous pipeline|could not"),
            ("filesrc location={noise} ! decodebin", "ERROR"),
            ("filesrc location={noise} ! jpegdec", "ended without a whole frame"),
            ("fakesrc", "ERROR"),
            ("videotestsrc num-buffers=0", "gst-launch-1.0 ended without a whole frame"),
            ("'unclosed", "No closing quotation"),
            ("", "expected a pipeline"),
        ],
    )
    def test_garbage_and_mistakes_are_errors_with_gstreamers_own_words(self, tmp_path: Path, pipeline: str, said: str):
        noise = tmp_path / "noise.bin"
        noise.write_bytes(np.random.default_rng(1).bytes(300_000))
        with pytest.raises(CameraError, match=said):
            opened("gst:" + pipeline.format(noise=noise))

    def test_a_pipeline_that_breaks_on_the_way_is_an_error(self):
        broken = opened("gst:videotestsrc ! identity sleep-time=20000 error-after=20")
        with broken as camera, pytest.raises(CameraError, match="Failed after iterations as requested"):
            list(camera)

    def test_without_gst_launch_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(CameraError, match="sudo apt install gstreamer1.0-tools"):
            opened("gst:videotestsrc")

    def test_handles_and_threads_do_not_grow_however_often_it_comes_and_goes(self):
        def come_and_go() -> tuple[int, int]:
            with opened("gst:videotestsrc is-live=true") as camera:
                next(iter(camera))
            with pytest.raises(CameraError):
                opened("gst:nosuchelement")
            return len(os.listdir("/proc/self/fd")), threading.active_count()

        before = come_and_go()
        for _ in range(4):
            after = come_and_go()
        assert after <= before

    def test_a_jetsons_pipeline_is_one_that_gstreamer_can_parse(self):
        """Its elements are NVIDIA's; with others of the same links in their place it runs."""
        pipeline = argus_pipeline(1, CameraConfig(width_px=320, height_px=240, frame_rate_hz=29.97))
        assert pipeline == (
            "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),width=320,height=240,framerate=2997/100 ! "
            "nvvidconv ! video/x-raw,format=I420"
        )
        here = pipeline.replace("nvarguscamerasrc sensor-id=1", "videotestsrc is-live=true").replace(
            "(memory:NVMM)", ""
        )
        with opened("gst:" + here.replace("nvvidconv", "videoconvert")) as camera:
            assert next(iter(camera)).pixels.shape == (HEIGHT, WIDTH)


class TestStream:
    def test_garbage_between_pictures_ends_in_an_error_or_in_pictures_and_never_in_a_hang(self, tmp_path: Path):
        with ready(Http, tmp_path) as backend, backend.open() as camera:
            frames = iter(camera)
            next(frames)
            backend.server.mode = "garbage"
            start = time.monotonic()
            with contextlib.suppress(CameraError):
                for frame in itertools.islice(frames, 10):
                    assert frame.pixels.dtype == np.uint8
            assert time.monotonic() - start < 15

    def test_garbage_from_the_start_is_an_error(self, tmp_path: Path):
        with ready(Http, tmp_path) as backend:
            backend.server.mode = "garbage"
            with pytest.raises(CameraError):
                backend.open()

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("rtsp://user:secret@camera:554/live?a=b", "rtsp://user:***@camera:554/live?a=b"),
            ("http://user:p@ss@camera/", "http://user:***@camera/"),
            ("http://camera/stream", "http://camera/stream"),
            ("http://camera:80/a:b@c", "http://camera:80/a:b@c"),
            ("rtsp://user:secret@[::1", "rtsp://user:***@[::1"),
            ("gst:videotestsrc", "gst:videotestsrc"),
        ],
    )
    def test_a_password_stays_out_of_messages_and_logs(self, url: str, shown: str):
        assert without_password(url) == shown


class TestV4l2:
    """What can be tested without a device; the contract runs on a real one where there is one."""

    def test_raw_frames_while_usb_2_can_carry_them(self):
        assert [pixel_formats(640, 480)[0], pixel_formats(1280, 720)[0]] == ["YUYV", "MJPG"]

    @pytest.mark.parametrize(("stamp_ms", "ns"), [(1234.567891, 1_234_567_891), (0.0, None), (-1.0, None)])
    def test_the_buffers_time(self, stamp_ms: float, ns: int | None):
        assert buffer_time_ns(stamp_ms) == ns

    @pytest.mark.parametrize(("shape", "expected"), [((4, 6, 3), (4, 6, 3)), ((4, 6), (4, 6)), ((4, 6, 1), (4, 6))])
    def test_pixels_as_a_frame_holds_them(self, shape: tuple[int, ...], expected: tuple[int, ...]):
        assert checked_pixels(np.zeros(shape, np.uint8), "camera").shape == expected

    @pytest.mark.parametrize("shape", [(1, 921600), (480, 640, 2), (480, 640, 4)])
    def test_undecoded_bytes_are_no_picture(self, shape: tuple[int, ...]):
        """Seen on vivid, where OpenCV takes a format that it cannot decode."""
        with pytest.raises(CameraError, match=r"/dev/video3: OpenCV cannot decode.*gst:v4l2src device=/dev/video3"):
            checked_pixels(np.zeros(shape, np.uint8), "/dev/video3")

    def test_a_device_that_is_missing_or_no_camera_is_named(self):
        with pytest.raises(CameraError, match=r"/dev/video77: no such device; .*python -m device cameras"):
            opened("/dev/video77")
        with pytest.raises(CameraError, match=r"/dev/null: cannot be opened as a camera"):
            opened("/dev/null")

    def test_a_device_that_others_own_says_which_group_helps(self, tmp_path: Path):
        if os.geteuid() != 0:
            pytest.skip("needs root, to become somebody else")
        code = (
            "from device.cameras.v4l2 import V4l2Source; from device.config import CameraConfig; import os, sys\n"
            "os.setuid(65534)\n"
            "try: V4l2Source(sys.argv[1], CameraConfig())\nexcept Exception as error: print(error)"
        )
        path = Path("/dev/garmentcam-test")
        os.mknod(path, 0o20600, os.makedev(1, 3))
        try:
            done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
        finally:
            path.unlink()
        assert "permission denied; sudo usermod -aG video $USER" in done.stdout, done.stderr
