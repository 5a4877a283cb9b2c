"""`/dev/videoN`: a USB camera, through OpenCV."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Callable

import cv2

from device.arrays import Array
from device.cameras.opencv_log import errors_only
from device.cameras.sensor_clock import SensorClock
from device.config import CameraConfig
from device.errors import CameraError
from device.frame import Frame

# Seconds that OpenCV waits for a frame, instead of ten; read when the first V4L2 camera is opened.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")
errors_only()
_MOST_RAW_PIXELS = 640 * 480


class V4l2Source:
    """Frames of a V4L2 camera, with the time of their buffers."""

    def __init__(self, path: str, config: CameraConfig) -> None:
        """Open it. Raises CameraError."""
        self._name = path
        self._clock = SensorClock(path)
        self._sequence = -1
        _check_device(Path(path))
        self._capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise CameraError(
                f"{path}: cannot be opened as a camera; end other programs that use it, and see which of the "
                "/dev/video* are cameras: python -m device cameras"
            )
        for name in pixel_formats(config.width_px, config.height_px):
            code = cv2.VideoWriter.fourcc(*name)
            self._capture.set(cv2.CAP_PROP_FOURCC, code)
            if int(self._capture.get(cv2.CAP_PROP_FOURCC)) == code:
                break
        settings: dict[int, float] = {
            cv2.CAP_PROP_FRAME_WIDTH: config.width_px,
            cv2.CAP_PROP_FRAME_HEIGHT: config.height_px,
            cv2.CAP_PROP_FPS: config.frame_rate_hz,
            # One to be filled while the other is decoded: with a single one, many drivers lose every other frame.
            cv2.CAP_PROP_BUFFERSIZE: 2,
        }
        for key, value in settings.items():
            self._capture.set(key, value)  # A camera gives what it has: what it refuses shows in the description.
        width, height, rate = (
            self._capture.get(key) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS)
        )
        self.description = f"{path}, {width:.0f}x{height:.0f} at {rate:g} frames/s"

    def read(self, stopped: Callable[[], bool]) -> Frame | None:
        while not stopped():
            if not self._capture.grab():
                raise CameraError(f"{self._name}: gave no frame for 2 s or was unplugged; check its cable")
            now_ns = time.monotonic_ns()
            stamp_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
            self._sequence += 1
            decoded, pixels = self._capture.retrieve()
            if not decoded:  # A damaged JPEG: the next frame may be whole.
                continue
            exposed_ns = self._clock.exposed_ns(buffer_time_ns(stamp_ms), now_ns)
            return Frame(
                checked_pixels(pixels, self._name),
                self._sequence,
                self._clock.captured_ns(exposed_ns, now_ns),
                exposed_ns=exposed_ns,
                dequeued_ns=now_ns,
            )
        return None

    def close(self) -> None:
        self._capture.release()


def pixel_formats(width_px: int, height_px: int) -> tuple[str, str]:
    """The V4L2 formats to ask for, the better one first; left to itself OpenCV may take one that it cannot decode.

    USB 2 carries raw frames of 640x480 at 30 frames/s, and larger ones as JPEG only.
    """
    return ("YUYV", "MJPG") if width_px * height_px <= _MOST_RAW_PIXELS else ("MJPG", "YUYV")


def buffer_time_ns(stamp_ms: float) -> int | None:
    """OpenCV's CAP_PROP_POS_MSEC -> nanoseconds; for V4L2 it is the buffer's time, when the frame began. None if 0."""
    return round(stamp_ms * 1e6) if stamp_ms > 0 else None


def checked_pixels(pixels: Array, name: str) -> Array:
    """`pixels` as a frame holds them. Raises CameraError when OpenCV handed out undecoded bytes."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype != "uint8" or min(pixels.shape[:2]) < 2 or not (pixels.ndim == 2 or pixels.shape[2:] == (3,)):
        raise CameraError(
            f"{name}: OpenCV cannot decode this camera's format (got shape {pixels.shape}); "
            f'try camera.source "gst:v4l2src device={name}"'
        )
    return pixels


def _check_device(path: Path) -> None:
    if not path.exists():
        raise CameraError(f"camera.source {path}: no such device; see what is there: python -m device cameras")
    if not os.access(path, os.R_OK | os.W_OK):
        raise CameraError(f"camera.source {path}: permission denied; sudo usermod -aG video $USER, then log in again")
