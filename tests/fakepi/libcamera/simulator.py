"""What a test turns: `libcamera.sim`."""

from __future__ import annotations

from typing import NamedTuple

from numbered import numbered


class Mode(NamedTuple):
    """A mode of the sensor. crop: x, y, width, height of what it sees, in pixels of the whole sensor."""

    size: tuple[int, int]
    crop: tuple[int, int, int, int]
    rate_hz: float


# Those of the Pi's camera module 2 (IMX219): its small modes see the middle only.
IMX219 = (
    Mode((640, 480), (1000, 752, 1280, 960), 103.33),
    Mode((1640, 1232), (0, 0, 3280, 2464), 41.85),
    Mode((1920, 1080), (680, 692, 1920, 1080), 47.57),
    Mode((3280, 2464), (0, 0, 3280, 2464), 21.19),
)


class Simulator:
    def __init__(self):
        self.platform = "vc4"
        self.reset()

    def reset(self):
        self.cameras = 1
        self.modes = IMX219
        self.source = numbered  # (width, height, sequence) -> uint8 (height, width), full range
        self.startup_frames = 0  # so many first frames are flagged as not ready
        self.frame_errors = set()  # numbers of frames that arrive damaged
        self.metadata = {}  # name of a control -> value, or None to leave it out
        self.processing_s = 0.008  # from the end of the read-out to the completed request
        self.frozen = False
        self.unplugged = False

    def freeze(self, on=True):
        """No more frames, and no error either: a wedged driver."""
        self.frozen = on

    def unplug(self):
        """The ribbon cable is pulled: the front end times out and every request comes back cancelled."""
        from libcamera.camera import CameraManager

        self.unplugged = True
        for camera in CameraManager.singleton().cameras:
            camera._fail()

    def plug(self):
        """The cable is back; a camera must be opened again."""
        self.unplugged = False


sim = Simulator()
