"""`csi://N` on a Raspberry Pi, through picamera2."""

from __future__ import annotations

import atexit
import concurrent.futures
import gc
import logging
import os
import time
from importlib import metadata
from typing import Any, Callable, Sequence

from device.cameras.sensor_clock import SensorClock
from device.config import CameraConfig
from device.errors import CameraError
from device.frame import Frame

OLDEST = "0.3.30"
"""Older ones hand out frames that the sensor gave before it was ready, or leave a camera open that could not start."""
_STOP_S = 0.1


class Picamera2Source:
    """The Y plane of a YUV420 stream: gray as the image processor makes it, with nothing to convert.

    One stream, the main one: it keeps its aspect by cropping, where one in low resolution beside it
    would be squashed, and be written into memory a second time.
    """

    def __init__(self, number: int, config: CameraConfig) -> None:
        """Open and start camera `number`. Raises CameraError."""
        self._name = f"csi://{number}"
        self._clock = SensorClock(self._name)
        self._sequence = -1
        self._stamp_ns: int | None = None
        # As long as libcamera itself waits for a frame before it gives up, and a second more.
        self._patience_s = 1.0 + max(1.0, 5 / config.frame_rate_hz)
        self._picamera2 = import_picamera2(self._name)
        self._camera: Any = self._open(number)
        try:
            self._start(config)
        except Exception as error:  # picamera2 and libcamera raise whatever they like.
            self.close()
            raise CameraError(f"{self._name}: cannot be started: {error}; check its cable, then restart") from None

    def read(self, stopped: Callable[[], bool]) -> Frame | None:
        request = self._next_request(stopped)
        if request is None:
            return None
        try:
            now_ns = time.monotonic_ns()
            facts = request.get_metadata()
            with self._picamera2.MappedArray(request, "main", write=False) as mapped:
                # Rows are padded, to 64 bytes on a Pi 4 and 128 on a Pi 5. Copied, since the camera gets it back.
                pixels = mapped.array[: self._height, : self._width].copy()
        finally:
            request.release()
        exposure_us = facts.get("ExposureTime")
        exposed_ns = self._clock.exposed_ns(_exposure_start(facts.get("SensorTimestamp"), exposure_us), now_ns)
        return Frame(
            pixels,
            self._count(facts),
            self._clock.captured_ns(exposed_ns, now_ns),
            exposed_ns=exposed_ns,
            dequeued_ns=now_ns,
            exposure_us=exposure_us,
            gain=_product(facts.get("AnalogueGain"), facts.get("DigitalGain", 1.0)),
            lux=facts.get("Lux"),
        )

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is None:
            return
        # Without it, close() would wait for ever behind a request that never came.
        camera.cancel_all_and_flush()
        camera.close()
        # picamera2's objects hold each other, and with them handles, until they are collected; that may take hours.
        del camera
        gc.collect()

    def _open(self, number: int) -> Any:
        kind = self._picamera2.Picamera2
        found = len(kind.global_camera_info())
        if number >= found:
            raise CameraError(
                f"{self._name}: no such camera ({found} found); check that the cable sits straight at both ends, "
                "restart, and see what `rpicam-hello --list-cameras` says"
            )
        camera = kind.__new__(kind)
        try:
            camera.__init__(number)
        except Exception as error:
            os.close(camera.notifyme_w)  # It leaves this open, and we may try again for days.
            reason = error.__cause__ or error
            raise CameraError(f"{self._name}: cannot be opened: {reason}; end other programs that use it") from None
        # picamera2 would close it at the end of the process, and with a stuck driver wait there for ever.
        atexit.unregister(camera.close)
        return camera

    def _start(self, config: CameraConfig) -> None:
        import libcamera

        camera = self._camera
        mode = widest_mode(camera.sensor_modes, config.frame_rate_hz)
        camera.configure(
            camera.create_video_configuration(
                main={"size": (config.width_px, config.height_px), "format": "YUV420"},
                sensor=mode and {"output_size": mode["size"], "bit_depth": mode["bit_depth"]},
                colour_space=libcamera.ColorSpace.Sycc(),  # Gray from 0 to 255, as in photographs; video has 16 to 235.
                controls={"FrameRate": config.frame_rate_hz},
                buffer_count=4,
                queue=False,
                display=None,
                encode=None,
            )
        )
        self._width, self._height = camera.camera_configuration()["main"]["size"]
        camera.start()
        model = camera.camera_properties.get("Model", "camera")
        self.description = (
            f"{self._name} ({model}), {self._width}x{self._height} gray at {config.frame_rate_hz:g} frames/s"
        )

    def _next_request(self, stopped: Callable[[], bool]) -> Any:
        """The next completed request; None when stopped. Raises CameraError when none comes."""
        job = self._camera.capture_request(wait=False)
        until = time.monotonic() + self._patience_s
        while not stopped():
            try:
                return job.get_result(timeout=_STOP_S)
            except concurrent.futures.TimeoutError:
                if time.monotonic() >= until:
                    raise CameraError(
                        f"{self._name}: no frame for {self._patience_s:g} s; its cable may be loose: check both ends"
                    ) from None
        return None

    def _count(self, facts: dict[str, Any]) -> int:
        """The frame's number. The sensor keeps its own beat, so time between two frames says how many were skipped."""
        stamp_ns, duration_us = facts.get("SensorTimestamp"), facts.get("FrameDuration")
        steps = 1
        if stamp_ns and duration_us and self._stamp_ns is not None:
            steps = max(1, round((stamp_ns - self._stamp_ns) / (1000 * duration_us)))
        self._stamp_ns = stamp_ns
        self._sequence += steps
        return self._sequence


def widest_mode(modes: Sequence[dict[str, Any]], rate_hz: float) -> dict[str, Any] | None:
    """Of the sensor's modes that are fast enough, the smallest of those that see most; None without modes.

    Left to itself, picamera2 takes the mode nearest in size, and small modes often see the middle only: at 640x480
    a camera module 2 would show 39 % of its width. modes: `Picamera2.sensor_modes`.
    """
    known = [mode for mode in modes if "crop_limits" in mode]
    if not known:
        return None
    # A rate a little under the nominal one is what sensors call 30 frames a second.
    fast = [mode for mode in known if mode["fps"] >= 0.99 * rate_hz]
    fast = fast or [max(known, key=lambda mode: float(mode["fps"]))]

    def preference(mode: dict[str, Any]) -> tuple[float, float, int]:
        _, _, width, height = mode["crop_limits"]
        return width * height, -mode["size"][0] * mode["size"][1], mode["bit_depth"]

    return max(fast, key=preference)


def import_picamera2(name: str) -> Any:
    """The module. name: who asks, for the message. Raises CameraError when it is missing, broken or too old."""
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:ERROR")
    try:
        import picamera2
    except (ImportError, ValueError) as error:  # ValueError: libraries built for another numpy
        raise CameraError(
            f"{name}: picamera2 cannot be used ({error}); on Raspberry Pi OS: sudo apt install python3-picamera2 "
            "--no-install-recommends, in an environment made with --system-site-packages"
        ) from None
    version = metadata.version("picamera2")
    if tuple(map(int, version.split("."))) < tuple(map(int, OLDEST.split("."))):
        raise CameraError(
            f"{name}: expected picamera2 {OLDEST}, found {version}; sudo apt update, sudo apt full-upgrade"
        )
    logging.getLogger("picamera2").setLevel(logging.CRITICAL)  # Its exceptions say what there is to say.
    return picamera2


def _exposure_start(stamp_ns: int | None, exposure_us: float | None) -> int | None:
    """The sensor's stamp is the start of its read-out; exposure began before."""
    if stamp_ns is None or exposure_us is None:
        return None
    return stamp_ns - round(1000 * exposure_us)


def _product(one: float | None, other: float) -> float | None:
    return None if one is None else one * other
