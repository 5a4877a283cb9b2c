"""Every kind of camera, as the contract test sees it: how to open it, and how to make it fail."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import ROOT
from device.camera import Camera, open_camera
from device.cameras.listing import v4l2_cameras
from device.config import CameraConfig
from numbered import numbered

WIDTH, HEIGHT, RATE_HZ = 160, 120, 25.0


class Backend:
    """A camera whose pictures say their number where `numbered`; `live` ones can stall, be unplugged and come back."""

    live = True
    numbered = True
    any_size = False  # it gives frames of its own size, near to what was asked for
    source = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, *, paced: bool = True, rate_hz: float = RATE_HZ) -> Camera:
        settings = CameraConfig(self.source, width_px=WIDTH, height_px=HEIGHT, frame_rate_hz=rate_hz)
        return open_camera(settings, paced=paced)

    def start(self) -> None:
        """Make it ready to be opened; skips when this machine cannot have one."""

    def stop(self) -> None:
        """Leave nothing behind."""

    def stall(self) -> None:
        """No more frames, and no error."""

    def unplug(self) -> None:
        """It is gone, until `plug`."""

    def plug(self) -> None:
        """It is there again, and does not stall."""

    def remove(self) -> None:
        """It is not there when it is opened."""
        self.unplug()


class Synthetic(Backend):
    live = numbered = False
    source = "synthetic://"


class Image(Backend):
    live = False

    def start(self) -> None:
        cv2.imwrite(str(self.folder / "0.png"), numbered(WIDTH, HEIGHT, 0))
        self.source = str(self.folder / "0.png")


class Folder(Image):
    def start(self) -> None:
        for number in range(40):
            cv2.imwrite(str(self.folder / f"{number:02d}.png"), numbered(WIDTH, HEIGHT, number))
        self.source = str(self.folder)


class Video(Backend):
    live = False
    frames = 60

    def start(self) -> None:
        self.source = str(self.folder / "clip.avi")
        writer = cv2.VideoWriter(self.source, cv2.VideoWriter.fourcc(*"MJPG"), RATE_HZ, (WIDTH, HEIGHT))
        for number in range(self.frames):
            writer.write(cv2.cvtColor(numbered(WIDTH, HEIGHT, number), cv2.COLOR_GRAY2BGR))
        writer.release()


class Csi(Backend):
    """The real picamera2 on a simulated camera."""

    source = "csi://0"

    def start(self) -> None:
        import fakepi

        try:
            self.sim = fakepi.install(os.environ.get("FAKEPI_PLATFORM", "vc4"))
        except ImportError as error:
            pytest.skip(f"needs picamera2 ({error}): make test, or pip install --no-deps -r requirements/fakepi.txt")
        self.sim.reset()

    def stop(self) -> None:
        self.sim.reset()

    def stall(self) -> None:
        self.sim.freeze()

    def unplug(self) -> None:
        self.sim.unplug()

    def plug(self) -> None:
        self.sim.freeze(False)
        self.sim.plug()


class GStreamer(Video):
    """A real gst-launch-1.0, which plays a film at its own pace."""

    live = True
    frames = 1000

    def start(self) -> None:
        needs_program("gst-launch-1.0")
        super().start()
        self.source = f"gst:filesrc location={self.source} ! avidemux ! jpegdec ! identity sync=true"

    def stop(self) -> None:
        for pid in children("gst-launch-1.0"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stall(self) -> None:
        for pid in children("gst-launch-1.0"):
            os.kill(pid, signal.SIGSTOP)

    def unplug(self) -> None:
        self.stop()

    def remove(self) -> None:
        self.source = "gst:filesrc location=/nowhere ! jpegdec"


class Http(Backend):
    """A server of Motion JPEG, as network cameras have them."""

    def start(self) -> None:
        self.server = MjpegServer()
        self.source = self.server.url

    def stop(self) -> None:
        self.server.close()

    def stall(self) -> None:
        self.server.mode = "stall"

    def unplug(self) -> None:
        self.server.mode = "drop"

    def plug(self) -> None:
        self.server.mode = "play"


class Rtsp(Video):
    """The RTSP server of GStreamer, in the Python of the system, which has its bindings."""

    live = True
    frames = 1000

    def start(self) -> None:
        super().start()
        self._process: subprocess.Popen[str] | None = None
        self._clip, self._port = self.source, "0"
        self.plug()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()

    def stall(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def unplug(self) -> None:
        self.stop()

    def plug(self) -> None:
        self.stop()
        command = ["/usr/bin/python3", str(ROOT / "tests" / "rtsp_server.py"), self._port, self._clip]
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self._port = self._process.stdout.readline().strip()
        if self._process is None or not self._port:
            pytest.skip("needs gst-rtsp-server and the system's python3-gi: see tests/packages.txt")
        self.source = f"rtsp://127.0.0.1:{self._port}/camera"


class V4l2(Backend):
    """A real V4L2 camera, where there is one."""

    numbered = False
    any_size = True

    def start(self) -> None:
        cameras = v4l2_cameras()
        if not cameras:
            pytest.skip("needs a V4L2 camera, such as the kernel's vivid: modprobe vivid")
        self.source = self._device = cameras[0].source
        self.vivid = cameras[0].driver == "vivid" and shutil.which("v4l2-ctl")

    def stop(self) -> None:
        if self.vivid:
            self.plug()

    def stall(self) -> None:
        self._control("percentage_of_dropped_buffers=100")

    def unplug(self) -> None:
        self._control("disconnect=1")

    def plug(self) -> None:
        self._control("percentage_of_dropped_buffers=0")

    def remove(self) -> None:
        self.source = "/dev/video77"

    def _control(self, setting: str) -> None:
        if not self.vivid:
            pytest.skip("only vivid's faults can be commanded, with v4l2-ctl")
        subprocess.run(["v4l2-ctl", "-d", self._device, "-c", setting], check=True)


BACKENDS = [Synthetic, Image, Folder, Video, Csi, GStreamer, Http, Rtsp, V4l2]


class MjpegServer:
    """Numbered pictures over HTTP. mode: "play", "stall" (nothing more), "drop" (hang up), "garbage" (no pictures)."""

    def __init__(self) -> None:
        self.mode = "play"
        self.number = 0
        server = self
        self._closed = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if server.mode == "drop":
                    self.send_error(503)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                with contextlib.suppress(OSError):
                    while server.mode != "drop" and not server._closed.wait(1 / RATE_HZ):
                        if server.mode != "stall":
                            self.wfile.write(server._part())

            def log_message(self, *arguments: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/stream"

    def _part(self) -> bytes:
        picture = cv2.imencode(".jpg", numbered(WIDTH, HEIGHT, self.number))[1].tobytes()
        self.number += 1
        if self.mode == "garbage":
            picture = np.random.default_rng(self.number).bytes(len(picture))
        return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(picture), picture)

    def close(self) -> None:
        self._closed.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def needs_program(name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}: see tests/packages.txt")


def children(program: str) -> list[int]:
    """Process numbers of our children that run `program`."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            # The kernel keeps 15 characters of a name.
            if fields["Name"] == program[:15] and int(fields["PPid"]) == os.getpid():
                found.append(int(fields["Pid"]))
    return found


@contextlib.contextmanager
def ready(kind: type[Backend], folder: Path) -> Iterator[Backend]:
    """A backend that can be opened; afterwards nothing of it is left."""
    backend = kind(folder)
    backend.start()
    try:
        yield backend
    finally:
        backend.stop()
        _wait_for_threads()


def _wait_for_threads() -> None:
    """A camera that hung lets go late; the next test must not find it still there."""
    until = time.monotonic() + 15
    while [thread for thread in threading.enumerate() if thread.name.startswith("drain ")]:
        assert time.monotonic() < until, "a camera's thread did not end"
        time.sleep(0.05)
