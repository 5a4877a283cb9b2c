"""A stand-in for libcamera's Python bindings: one simulated camera of a Raspberry Pi. See `fakepi`."""

import sys

from libcamera.buffers import FrameBuffer, FrameBufferAllocator, FrameMetadata, Request, Stream, memfd
from libcamera.camera import Camera, CameraManager
from libcamera.catalogue import ControlId, ControlInfo, ControlType, controls, properties
from libcamera.configuration import (
    CameraConfiguration,
    SensorConfiguration,
    StreamConfiguration,
    StreamFormats,
    StreamRole,
)
from libcamera.simulator import Mode, sim
from libcamera.values import ColorSpace, Orientation, PixelFormat, Rectangle, Size, Transform

__version__ = "simulated"
__all__ = [
    "Camera", "CameraConfiguration", "CameraManager", "ColorSpace", "ControlId", "ControlInfo", "ControlType",
    "FrameBuffer", "FrameBufferAllocator", "FrameMetadata", "Mode", "Orientation", "PixelFormat", "Rectangle",
    "Request", "SensorConfiguration", "Size", "Stream", "StreamConfiguration", "StreamFormats", "StreamRole",
    "Transform", "controls", "log_set_level", "memfd", "properties", "sim",
]  # fmt: skip

_libcamera = sys.modules.setdefault("libcamera._libcamera", sys.modules[__name__])


def log_set_level(*arguments: object) -> None:
    """Nothing is logged here."""
