"""The simulated camera: a sensor thread that fills the requests it is given."""

from __future__ import annotations

import collections
import os
import threading
import time

from libcamera.buffers import FrameMetadata, Request
from libcamera.catalogue import ControlInfo, controls, properties
from libcamera.configuration import CameraConfiguration, StreamRole
from libcamera.simulator import sim
from libcamera.values import ColorSpace, Rectangle, Size


class Camera:
    def __init__(self, manager, number):
        self._manager = manager
        self.id = f"/base/soc/i2c0mux/i2c@{number + 1}/imx219@10"
        self._mode = sim.modes[-1]
        self._raw = True
        self._acquired = self._running = self._error = False
        self._lock = threading.Lock()
        self._queue = collections.deque()
        self._thread = None
        width, height = sim.modes[-1].size
        self.properties = {
            properties.Model: "imx219", properties.Location: 2, properties.Rotation: 180,
            properties.UnitCellSize: Size(1120, 1120), properties.PixelArraySize: Size(width, height),
            properties.PixelArrayActiveAreas: [Rectangle(0, 0, width, height)],
            properties.ScalerCropMaximum: Rectangle(0, 0, width, height), properties.SensorSensitivity: 1.0,
            properties.SystemDevices: (20752, 20753), properties.draft.ColorFilterArrangement: 0,
        }  # fmt: skip

    @property
    def controls(self):
        """Limits, which depend on the mode of the sensor that was configured."""
        crop = Rectangle(*self._mode.crop)
        return {
            controls.AeEnable: ControlInfo(False, True, True), controls.AwbEnable: ControlInfo(False, True, True),
            controls.ExposureTime: ControlInfo(26, 220416802, 20000), controls.AnalogueGain: ControlInfo(1, 16, 1),
            controls.ExposureTimeMode: ControlInfo(0, 1, 0), controls.AnalogueGainMode: ControlInfo(0, 1, 0),
            controls.FrameDurationLimits: ControlInfo(round(1e6 / self._mode.rate_hz), 220535845, 33333),
            controls.ScalerCrop: ControlInfo(Rectangle(0, 0, 128, 128), crop, crop),
            controls.draft.NoiseReductionMode: ControlInfo(0, 4, 0),
        }  # fmt: skip

    def acquire(self):
        if self._acquired:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        self._acquired = True

    def release(self):
        self._acquired = False

    def generate_configuration(self, roles):
        return CameraConfiguration(roles)

    def configure(self, configuration):
        raw = [
            stream for stream, role in zip(configuration, configuration._roles, strict=True) if role == StreamRole.Raw
        ]
        self._raw = bool(raw)
        self._mode = configuration._mode(raw[0].size if raw else configuration.at(0).size)

    def create_request(self, cookie=0):
        return Request(self, cookie)

    def start(self, wanted=None):
        if sim.unplugged:
            raise OSError(121, "Failed to start camera: Remote I/O error")
        self._active = {
            controls.FrameDurationLimits: (33333, 33333), controls.ExposureTime: 9000, controls.AnalogueGain: 2.0,
            **(wanted or {}),
        }  # fmt: skip
        self._running, self._error = True, False
        self._queue.clear()
        self._thread = threading.Thread(target=self._sensor, name="simulated-sensor", daemon=True)
        self._thread.start()

    def stop(self):
        self._running = False
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._cancel_all()

    def queue_request(self, request):
        request.status = Request.Status.Pending
        with self._lock:
            accepted = self._running and not self._error
            if accepted:
                self._queue.append(request)
        if not accepted:
            self._cancel(request)

    def _cancel(self, request):
        for buffer in request.buffers.values():
            buffer.metadata.status = FrameMetadata.Status.Cancelled
        request.status = Request.Status.Cancelled
        self._manager._complete(request)

    def _cancel_all(self):
        with self._lock:
            left = list(self._queue)
            self._queue.clear()
        for request in left:
            self._cancel(request)

    def _fail(self):
        self._error = True
        self._cancel_all()

    def _sensor(self):
        """Frames at the sensor's own beat; one without a request waits in the pipeline, as many as that holds."""
        # Source: a Pi 5 keeps two; a Pi 4 keeps none when the raw buffer comes with the request, else up to four.
        depth = 2 if sim.platform == "pisp" else 0 if self._raw else 4
        waiting = collections.deque()
        sequence = delivered = 0
        start = time.monotonic()
        while self._running:
            duration_s = max(self._active[controls.FrameDurationLimits][0] / 1e6, 1 / self._mode.rate_hz)
            end = start + duration_s + sim.processing_s
            while self._running and (left_s := end - time.monotonic()) > 0:
                time.sleep(min(left_s, 0.05))
            if not self._running:
                return
            stamp_ns = time.monotonic_ns() - int((time.monotonic() - start) * 1e9)
            if not (sim.frozen or self._error) and len(waiting) < max(1, depth):
                waiting.append((sequence, stamp_ns, duration_s))
            while waiting and not self._error:
                with self._lock:
                    request = self._queue.popleft() if self._queue else None
                if request is None:
                    if depth == 0:
                        waiting.clear()
                    break
                self._finish(request, *waiting.popleft(), startup=delivered < sim.startup_frames)
                delivered += 1
            sequence += 1
            start = max(start + duration_s, time.monotonic() - duration_s)  # its own beat; skips when late

    def _finish(self, request, sequence, stamp_ns, duration_s, startup):
        states = FrameMetadata.Status
        status = states.Startup if startup else states.Error if sequence in sim.frame_errors else states.Success
        self._active.update(request._controls)
        for stream, buffer in request.buffers.items():
            _fill(buffer, stream.configuration, sequence)
            buffer.metadata.status, buffer.metadata.sequence, buffer.metadata.timestamp = status, sequence, stamp_ns
        exposure_us = min(int(self._active[controls.ExposureTime] or 9000), int(duration_s * 1e6))
        request.metadata = {
            controls.SensorTimestamp: stamp_ns, controls.ExposureTime: exposure_us,
            controls.AnalogueGain: float(self._active[controls.AnalogueGain] or 2.0), controls.DigitalGain: 1.5,
            controls.FrameDuration: round(duration_s * 1e6), controls.Lux: 400.0,
        }  # fmt: skip
        for name, value in sim.metadata.items():
            control = getattr(controls, name)
            request.metadata.pop(control, None)
            if value is not None:
                request.metadata[control] = value
        request.sequence, request.status = sequence, Request.Status.Complete
        self._manager._complete(request)


def _fill(buffer, configuration, sequence):
    """Write the picture into a YUV420 buffer; other formats stay as they are."""
    if str(configuration.pixel_format) != "YUV420":
        return
    size, stride = configuration.size, configuration.stride
    gray = sim.source(size.width, size.height, sequence)
    if configuration.color_space.range == ColorSpace.Range.Limited:
        gray = 16 + gray * (219 / 255)
    planes = buffer._array()[: configuration.frame_size].reshape(size.height * 3 // 2, stride)
    planes[: size.height, : size.width] = gray
    planes[size.height :] = 128


class CameraManager:
    _one = None

    @classmethod
    def singleton(cls):
        if CameraManager._one is None:
            CameraManager._one = cls()
        return CameraManager._one

    def __init__(self):
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        self._done = []
        self._all = [Camera(self, number) for number in range(2)]

    @property
    def cameras(self):
        return self._all[: sim.cameras]

    def _complete(self, request):
        with self._lock:
            self._done.append(request)
        os.eventfd_write(self.event_fd, 1)

    def get_ready_requests(self):
        try:
            os.eventfd_read(self.event_fd)
        except BlockingIOError:
            return []
        with self._lock:
            ready, self._done = self._done, []
        return ready
