"""The camera seam: a protocol, and `open_camera`, which turns a URI into the class that reads it."""

from pathlib import Path
from typing import TYPE_CHECKING, Iterator, Protocol

from device.config import CameraConfig
from device.errors import CameraError
from device.frame import Frame

if TYPE_CHECKING:
    from device.cameras.newest import NewestFrame

EXPECTED = "csi://0, /dev/video0, rtsp://..., http://..., gst:PIPELINE, a video, an image, a folder or synthetic://"
"""What `camera.source` may be."""


class Camera(Protocol):
    """A source of frames. Use it in `with`; iterate it once; `close()` twice is fine.

    Iterating gives the newest frame and blocks until there is one. `sequence` counts the source's own
    frames, so a gap is what a slow reader missed. `captured_ns` never goes back. The iterator ends when
    the source does, or after `close()`. Reading raises CameraError.
    """

    description: str
    """What was opened, for the log and for people."""

    frame_count: int
    """How many frames there will be, 0 when it has no end."""

    def __enter__(self) -> "Camera":
        """Return itself."""

    def __exit__(self, *exc_info: object) -> None:
        """Close."""

    def __iter__(self) -> Iterator[Frame]:
        """Frames, newest first to last."""

    def close(self) -> None:
        """Give the device or file back."""


def open_camera(config: CameraConfig, *, paced: bool = True, seed: int = 0) -> Camera:
    """Open `config.source`.

    paced: recorded sources (files, synthetic) give frames at their own rate, else as fast as they are read.
    seed: of the synthetic camera. Raises CameraError.
    """
    source = config.source
    if is_live(source):
        camera = live_camera(config)
        camera.wait_until_open()
        return camera
    if source == "synthetic://":
        from device.cameras.synthetic import SyntheticCamera

        return SyntheticCamera(config, paced=paced, seed=seed)
    if "://" in source:
        raise CameraError(f"camera.source {source}: unknown kind of camera; expected {EXPECTED}")
    from device.cameras.replay import open_replay

    return open_replay(Path(source), config, paced=paced)


def is_live(source: str) -> bool:
    """True for what shows the world as it is now; False for files and synthetic://, which can be shown again."""
    return source.startswith(("csi://", "gst:", "/dev/", "rtsp://", "http://", "https://"))


def live_camera(config: CameraConfig) -> "NewestFrame":
    """The camera of a live source, which is being opened: its errors come with `wait_until_open` or its first frame."""
    from device.cameras.newest import NewestFrame

    source = config.source
    if source.startswith("csi://"):
        from device.cameras.csi import csi_source

        return NewestFrame(source, lambda: csi_source(source, config))
    if source.startswith("gst:"):
        from device.cameras.gstreamer import GStreamerSource

        return NewestFrame(source, lambda: GStreamerSource(source, source[len("gst:") :], config))
    if source.startswith("/dev/"):
        from device.cameras.v4l2 import V4l2Source

        return NewestFrame(source, lambda: V4l2Source(source, config))
    from device.cameras.stream import StreamSource, without_password

    return NewestFrame(without_password(source), lambda: StreamSource(source))
