"""`gst:PIPELINE`, and `csi://N` on a Jetson: GStreamer's own program in a child, gray frames through a pipe.

OpenCV's wheels come without GStreamer, and its Python bindings belong to the system's Python; gst-launch-1.0 is
wherever GStreamer is.
"""

from __future__ import annotations

import atexit
import os
import selectors
import shlex
import signal
import subprocess
import time
from fractions import Fraction
from typing import Callable

import numpy as np

from device.config import CameraConfig
from device.errors import CameraError
from device.frame import Frame

_FIRST_FRAME_S = 10.0
_NEXT_FRAME_S = 2.0
_STOP_S = 0.1
_END_S = 5.0
_END_SLICE_S = 0.02
_TAIL_BYTES = 2000


def argus_pipeline(number: int, config: CameraConfig) -> str:
    """What reads camera `number` of a Jetson's ribbon connectors."""
    rate = Fraction(config.frame_rate_hz).limit_denominator(1001)
    return (
        f"nvarguscamerasrc sensor-id={number} ! "
        f"video/x-raw(memory:NVMM),width={config.width_px},height={config.height_px},"
        f"framerate={rate.numerator}/{rate.denominator} ! nvvidconv ! video/x-raw,format=I420"
    )


class GStreamerSource:
    """Frames of a pipeline, scaled to the size of the settings. No sensor's clock: they count from their arrival."""

    def __init__(self, name: str, pipeline: str, config: CameraConfig) -> None:
        """Start it. Raises CameraError.

        pipeline: what one would write after gst-launch-1.0, up to the sink.
        """
        self._name = name
        self._width, self._height = config.width_px, config.height_px
        self._stride = -(-self._width // 4) * 4  # GStreamer pads rows of gray to four bytes.
        self._sequence = -1
        self._said = b""
        self.description = f"{name}, {self._width}x{self._height} gray"
        self._closed = False
        words = _words(name, pipeline)
        # A pipe of our own, since plugins print on standard output.
        self._frames, to_us = os.pipe()
        self._errors, errors_to_us = os.pipe()
        try:
            self._child = subprocess.Popen(
                _command(words, self._width, self._height, to_us),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors_to_us,
                pass_fds=(to_us,),
                start_new_session=True,  # Ctrl-C is for us: we end the child in order.
            )
        except OSError as error:
            os.close(self._frames)
            os.close(self._errors)
            raise CameraError(
                f"{name}: gst-launch-1.0 cannot be run ({error.strerror}); sudo apt install gstreamer1.0-tools "
                "gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
            ) from None
        finally:
            os.close(to_us)
            os.close(errors_to_us)
        atexit.register(self._child.kill)  # Should the process end before the child has.
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._frames, selectors.EVENT_READ)
        self._selector.register(self._errors, selectors.EVENT_READ)

    def read(self, stopped: Callable[[], bool]) -> Frame | None:
        rows = bytearray(self._height * self._stride)
        left = memoryview(rows)
        patience_s = _FIRST_FRAME_S if self._sequence < 0 else _NEXT_FRAME_S
        until = time.monotonic() + patience_s
        while left:
            ready = {key.fd for key, _ in self._selector.select(_STOP_S)}
            if stopped():
                return None
            if self._errors in ready:
                self._listen()
            if self._frames in ready:
                got = os.readv(self._frames, [left])
                if not got:
                    self._check_end(len(rows) - len(left))
                    return None
                left = left[got:]
            elif time.monotonic() > until:
                raise CameraError(
                    f"{self._name}: no frame for {patience_s:g} s{self._last_words()}; check the cable, and try the "
                    "pipeline with gst-launch-1.0"
                )
        now_ns = time.monotonic_ns()
        self._sequence += 1
        pixels = np.frombuffer(rows, np.uint8).reshape(self._height, self._stride)[:, : self._width]
        return Frame(pixels, self._sequence, now_ns, dequeued_ns=now_ns)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._child.poll() is None:
            # In order, since a killed child would leave a Jetson's camera service stuck. It cannot end while it waits
            # for somebody to take its frame.
            self._child.send_signal(signal.SIGINT)
            until = time.monotonic() + _END_S
            while self._child.poll() is None and time.monotonic() < until:
                for key, _ in self._selector.select(_END_SLICE_S):
                    if not os.read(key.fd, 1 << 20):
                        self._selector.unregister(key.fd)
            self._child.kill()
            self._child.wait()
        atexit.unregister(self._child.kill)
        self._selector.close()
        os.close(self._frames)
        os.close(self._errors)

    def _check_end(self, cut_bytes: int) -> None:
        """Return if the pipe was closed at the end of a stream. Raises CameraError if for any other reason."""
        try:
            status = self._child.wait(_END_S)
        except subprocess.TimeoutExpired:
            status = 1
        listening = True
        while listening and self._errors in {key.fd for key, _ in self._selector.select(0)}:
            listening = self._listen()
        if status == 0 and self._sequence >= 0 and not cut_bytes and b"ERROR" not in self._said:
            return
        how = "ended without a whole frame" if status == 0 else f"ended with status {status}"
        if status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
        raise CameraError(
            f"{self._name}: gst-launch-1.0 {how}{self._last_words()}; try the pipeline with gst-launch-1.0"
        )

    def _listen(self) -> bool:
        """Take what the child has said on standard error, and keep the last of it. False at its end."""
        said = os.read(self._errors, 65536)
        self._said = (self._said + said)[-_TAIL_BYTES:]
        if not said:
            self._selector.unregister(self._errors)
        return bool(said)

    def _last_words(self) -> str:
        """The last lines of standard error, the most telling ones where there are any, after a colon."""
        lines = [line.strip() for line in self._said.decode(errors="replace").splitlines() if line.strip()]
        telling = [line for line in lines if line.startswith(("ERROR", "WARNING"))]
        return ": " + " / ".join((telling or lines)[-3:]) if lines else ""


def _words(name: str, pipeline: str) -> list[str]:
    """The pipeline as a shell would hand it to gst-launch-1.0. Raises CameraError."""
    try:
        words = shlex.split(pipeline)
    except ValueError as error:
        raise CameraError(f"{name}: {error}; expected what you would write after gst-launch-1.0") from None
    if not words:
        raise CameraError("camera.source gst: expected a pipeline after it, such as gst:videotestsrc is-live=true")
    return words


def _command(words: list[str], width: int, height: int, descriptor: int) -> list[str]:
    return [
        "gst-launch-1.0", "-q", *words,
        "!", "videoconvert", "!", "videoscale", "!", f"video/x-raw,format=GRAY8,width={width},height={height}",
        # Nothing waits here: a frame that is not taken in time makes room for the next.
        "!", "queue", "max-size-buffers=1", "leaky=downstream",
        "!", "fdsink", f"fd={descriptor}", "sync=false",
    ]  # fmt: skip
