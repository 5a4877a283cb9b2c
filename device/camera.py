"""The camera seam: a protocol, and `open_camera`, which turns a URI into the class that reads it."""

from pathlib import Path
from typing import Iterator, Protocol

from device.config import CameraConfig
from device.errors import CameraError
from device.frame import Frame


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
    if source == "synthetic://":
        from device.cameras.synthetic import SyntheticCamera

        return SyntheticCamera(config, paced=paced, seed=seed)
    if "://" in source:
        raise CameraError(f"camera.source {source}: expected synthetic://, an image, a folder or a video file")
    from device.cameras.replay import open_replay

    return open_replay(Path(source), config, paced=paced)
