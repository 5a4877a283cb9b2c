"""Which cameras are there: `python -m device cameras`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from pathlib import Path
from typing import Callable, NamedTuple

from device.errors import CameraError
from device.machine import board_model

_QUERYCAP = 0x80685600  # VIDIOC_QUERYCAP of linux/videodev2.h, for the 104 bytes of struct v4l2_capability
_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_CAPTURE, _META, _M2M, _DEVICE_CAPS = 0x1, 0x00800000, 0x8000 | 0x4000, 0x80000000
# Parts of a Pi's or Jetson's own image path that call themselves video capture: raw sensors, converters, decoders.
_NOT_CAMERAS = ("bcm2835-", "bcm2711-", "unicam", "rp1-", "pispbe", "pisp", "rpi", "tegra")


class FoundCamera(NamedTuple):
    """A camera that can be opened. source: its URI; driver: of the kernel, or the library that reads it."""

    source: str
    name: str
    driver: str


def find_cameras() -> list[FoundCamera]:
    """Cameras on the ribbon cable and on USB. Network cameras do not announce themselves."""
    return [*_csi_cameras(), *v4l2_cameras()]


def v4l2_cameras(folder: Path = Path("/dev"), query: Callable[[Path], bytes] | None = None) -> list[FoundCamera]:
    """The /dev/videoN that are cameras. query: gives the bytes of a device's struct v4l2_capability."""
    found = []
    for path in sorted(folder.glob("video[0-9]*"), key=lambda path: int(path.name[5:])):
        with contextlib.suppress(OSError):  # Another user's, or just unplugged.
            camera = _as_camera(path, (query or _query)(path))
            if camera is not None:
                found.append(camera)
    return found


def _as_camera(path: Path, capability: bytes) -> FoundCamera | None:
    driver, card, _, _, all_capabilities, of_device = _CAPABILITY.unpack(capability)
    capabilities = of_device if all_capabilities & _DEVICE_CAPS else all_capabilities
    driver_name = _text(driver)
    if not capabilities & _CAPTURE or capabilities & (_META | _M2M) or driver_name.startswith(_NOT_CAMERAS):
        return None
    return FoundCamera(str(path), _text(card), driver_name)


def _query(path: Path) -> bytes:
    device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        return fcntl.ioctl(device, _QUERYCAP, bytes(_CAPABILITY.size))
    finally:
        os.close(device)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode(errors="replace")


def _csi_cameras() -> list[FoundCamera]:
    if "Jetson" in board_model():
        # The kernel names the sensors that it has bound to the ribbon connectors, as "vi-output, imx219 7-0010".
        names = sorted(
            path.read_text(errors="replace").strip() for path in Path("/sys/class/video4linux").glob("video*/name")
        )
        names = [name.partition(", ")[2] for name in names if name.startswith("vi-output")]
        return [FoundCamera(f"csi://{number}", name, "nvarguscamerasrc") for number, name in enumerate(names)]
    from device.cameras.picamera2 import import_picamera2

    try:
        cameras = import_picamera2("csi").Picamera2.global_camera_info()
    except CameraError:
        return []
    return [
        FoundCamera(f"csi://{number}", str(camera["Model"]), "picamera2")
        for number, camera in enumerate(cameras)
        if "/usb" not in camera["Id"]  # libcamera lists USB cameras too; they are /dev/videoN here.
    ]
