"""The unmodified picamera2 of PyPI without a Pi: `install()` puts a simulated libcamera under it.

Only what lies below picamera2 is made up (bindings, pipeline, kernel): a sensor thread, buffers in memfds, the
strides of a Pi 4 ("vc4") and a Pi 5 ("pisp"), and faults. So picamera2's own job queue, recycling of requests,
time-outs and arrays are what a test exercises. Every public name of it exists in libcamera's real bindings.
test_picamera2.py says what the camera adapter relies on. Its ages are a model: never a Pi's latency.
"""

from __future__ import annotations

import fcntl
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class _Absent:
    """Stands for whatever a module would have, and cannot be called."""

    def __getattr__(self, name: str) -> _Absent:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Absent()

    def __call__(self, *arguments: object, **named: object) -> None:
        raise RuntimeError("not available in the simulated Pi")


def _stub(name: str, **attributes: object) -> None:
    """A module that picamera2 imports for what is not tested here (DRM previews, DNG, encoders)."""
    parent, _, child = name.rpartition(".")
    if name in sys.modules or (not parent and importlib.util.find_spec(name)):
        return
    module = types.ModuleType(name)
    module.__dict__.update(attributes)
    sys.modules[name] = module
    if parent:
        setattr(sys.modules[parent], child, module)


def install(platform: str = "vc4") -> Any:
    """Make `import picamera2` work here, before anything else imports it. Returns the simulator.

    platform: "vc4" or "pisp"; of the first call, since picamera2 looks only once.
    """
    if "picamera2" in sys.modules:
        return sys.modules["libcamera"].sim
    sys.path.insert(0, str(HERE))
    import libcamera

    libcamera.sim.platform = platform
    _stub("pykms", PixelFormat=_Absent())
    _stub("prctl", set_pdeathsig=lambda *arguments: None)
    _stub("pidng")
    _stub("pidng.camdefs", Picamera2Camera=_Absent())
    _stub("pidng.core", PICAM2DNG=_Absent())
    _stub("av", Packet=_Absent(), VideoFrame=_Absent())
    for name in ("jsonschema", "OpenEXR", "libarchive"):
        _stub(name)
    _stub("libarchive.read", fd_reader=None)
    import picamera2
    from picamera2 import dma_heap
    from picamera2.allocators import dmaallocator
    from picamera2.platform import Platform

    if platform == "pisp":
        picamera2.Picamera2.platform = Platform.PISP

    class MemfdHeap:
        """Instead of /dev/dma_heap."""

        isValid = True

        def alloc(self, name: str, size: int) -> Any:
            return dma_heap.UniqueFD(libcamera.memfd(size))

        def close(self) -> None:
            pass

    class NoIoctl:
        """The fcntl module, whose ioctl (cache synchronisation of dma-bufs) does nothing."""

        def __getattr__(self, name: str) -> Any:
            return getattr(fcntl, name)

        @staticmethod
        def ioctl(*arguments: object) -> int:
            return 0

    dmaallocator.DmaHeap = MemfdHeap
    dmaallocator.fcntl = NoIoctl()
    return libcamera.sim
