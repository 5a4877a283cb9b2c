"""Recorded frames: an image, a folder of images, a video file."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Iterator

import cv2

from device.camera import Camera
from device.cameras.pace import Pace
from device.config import CameraConfig
from device.errors import CameraError
from device.frame import Frame
from device.images import IMAGE_SUFFIXES, images_in, read_image

log = logging.getLogger(__name__)


def open_replay(path: Path, config: CameraConfig, *, paced: bool) -> Camera:
    """The camera that replays `path`. Raises CameraError when it is missing or of no known kind."""
    if path.is_dir():
        paths = images_in(path)
        if not paths:
            raise CameraError(f"camera.source {path}: no image in this folder (looked for {' '.join(IMAGE_SUFFIXES)})")
        return ImageCamera(paths, config.frame_rate_hz if paced else None)
    if not path.exists():
        raise CameraError(f"camera.source {path}: no such file or folder")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageCamera([path], config.frame_rate_hz if paced else None)
    return VideoCamera(path, paced=paced)


class ImageCamera:
    """Each image file is one frame. An unreadable one is named and passed over."""

    def __init__(self, paths: list[Path], rate_hz: float | None) -> None:
        self._paths = paths
        self._pace = Pace(rate_hz)
        self._closed = False
        self.description = f"{len(paths)} image(s) from {paths[0].parent}"
        self.frame_count = len(paths)

    def __enter__(self) -> ImageCamera:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        answered = False
        for sequence, path in enumerate(self._paths):
            try:
                pixels = read_image(path)
            except CameraError as error:
                log.warning("%s; passed over", error)
                continue
            # A folder is a list to work through, not a live scene: a slow reader misses none of it.
            _, captured_ns = self._pace.wait(sequence)
            if self._closed:
                return
            answered = True
            yield Frame(pixels, sequence, captured_ns, origin=str(path))
        if not answered:
            raise CameraError(f"camera.source {self._paths[0].parent}: none of its images could be read")

    def close(self) -> None:
        self._closed = True
        self._pace.stop()


class VideoCamera:
    """A video file, paced as recorded: a slow reader misses frames, as it would of a live camera."""

    def __init__(self, path: Path, *, paced: bool) -> None:
        self._path = path
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise CameraError(f"camera.source {path}: not a video or image that OpenCV can open")
        rate_hz = self._capture.get(cv2.CAP_PROP_FPS)
        if not 0 < rate_hz <= 1000:
            rate_hz = 30.0  # Some containers do not say; 30 is what cameras do.
        self._pace = Pace(rate_hz if paced else None)
        self._closed = False
        self._lock = threading.RLock()  # OpenCV crashes when a file is closed while another thread reads it.
        self.description = f"{path} at {rate_hz:.1f} frames/s"
        self.frame_count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def __enter__(self) -> VideoCamera:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        sequence = -1
        while True:
            newest, captured_ns = self._pace.wait(sequence + 1)
            with self._lock:
                while sequence < newest and self._capture.grab():
                    sequence += 1
                decoded, pixels = self._capture.retrieve()
            if self._closed or sequence < newest:
                break
            if decoded:
                yield Frame(pixels, sequence, captured_ns, origin=str(self._path))
        if sequence < 0 and not self._closed:
            raise CameraError(f"camera.source {self._path}: no frame could be decoded")

    def close(self) -> None:
        self._closed = True
        self._pace.stop()
        with self._lock:
            self._capture.release()
