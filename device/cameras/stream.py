"""`rtsp://` and `http://`: network cameras, through OpenCV's FFmpeg."""

from __future__ import annotations

import os
import re
import time
from typing import Callable

import cv2

from device.cameras.opencv_log import errors_only
from device.errors import CameraError
from device.frame import Frame

# FFmpeg would tell of each damaged frame. This is AV_LOG_FATAL, and is read when the first stream is opened.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "8")
errors_only()
_OPEN_MS = 10000
_READ_MS = 2000


class StreamSource:
    """Frames of a network stream. They carry no time that means anything here: they count from their arrival."""

    def __init__(self, url: str) -> None:
        """Open it, within seconds. Raises CameraError."""
        self._name = without_password(url)
        self._sequence = -1
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _READ_MS]
        self._capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)
        if not self._capture.isOpened():
            raise CameraError(
                f"{self._name}: no video there, or no answer within {_OPEN_MS // 1000} s; "
                "check address, name and password, and that the camera is on"
            )
        size = (self._capture.get(key) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        self.description = self._name + ", {:.0f}x{:.0f}".format(*size)

    def read(self, stopped: Callable[[], bool]) -> Frame | None:
        while not stopped():
            if not self._capture.grab():
                raise CameraError(
                    f"{self._name}: the stream ended, or nothing came for {_READ_MS // 1000} s; "
                    "check the camera and the network"
                )
            now_ns = time.monotonic_ns()
            self._sequence += 1
            decoded, pixels = self._capture.retrieve()
            if decoded:
                return Frame(pixels, self._sequence, now_ns, dequeued_ns=now_ns)
        return None

    def close(self) -> None:
        self._capture.release()


def without_password(url: str) -> str:
    """`url` as it may stand in messages and logs."""
    return re.sub(r"(?<=://)([^/:]*):[^/]*@", r"\1:***@", url)
