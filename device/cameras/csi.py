"""`csi://N`: which of the two ways to a camera on the ribbon cable this board has."""

from __future__ import annotations

from device.cameras.newest import Source
from device.config import CameraConfig
from device.errors import CameraError
from device.machine import board_model


def csi_source(source: str, config: CameraConfig) -> Source:
    """Open `source`, csi://N: through GStreamer on a Jetson, else through picamera2. Raises CameraError."""
    number = source[len("csi://") :]
    if not number.isdecimal():
        raise CameraError(f"camera.source {source}: expected csi:// and the camera's number, such as csi://0")
    if "Jetson" in board_model():
        from device.cameras.gstreamer import GStreamerSource, argus_pipeline

        return GStreamerSource(source, argus_pipeline(int(number), config), config)
    from device.cameras.picamera2 import Picamera2Source

    return Picamera2Source(int(number), config)
