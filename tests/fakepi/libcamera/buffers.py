"""Frame buffers in memfds, and the requests that carry them."""

from __future__ import annotations

import enum
import mmap
import os

import numpy as np


def memfd(size):
    fd = os.memfd_create("simulated-dmabuf", os.MFD_CLOEXEC)
    os.ftruncate(fd, size)
    return fd


class FrameMetadata:
    class Status(enum.Enum):
        Success, Error, Cancelled, Startup = range(4)

    class Plane:
        def __init__(self, bytes_used):
            self.bytes_used = bytes_used

    def __init__(self):
        self.status, self.sequence, self.timestamp, self.planes = self.Status.Success, 0, 0, []


class _SharedFD:
    """libcamera's SharedFD: a duplicate of its own, closed with its last user."""

    def __init__(self, fd):
        self.fd = os.dup(fd)

    def __del__(self):
        os.close(self.fd)


class FrameBuffer:
    class Plane:
        def __init__(self, fd=-1, offset=0, length=0):
            self._fd = _SharedFD(fd) if fd >= 0 else None
            self.offset, self.length = offset, length

        @property
        def fd(self):
            return -1 if self._fd is None else self._fd.fd

        @fd.setter
        def fd(self, fd):
            self._fd = _SharedFD(fd)

    def __init__(self, planes, cookie=0):
        self.cookie = cookie
        self.planes = list(planes)
        self.metadata = FrameMetadata()
        self.metadata.planes = [FrameMetadata.Plane(plane.length) for plane in planes]
        self._map = None

    def _array(self):
        if self._map is None:
            self._map = mmap.mmap(self.planes[0].fd, sum(plane.length for plane in self.planes))
        return np.frombuffer(self._map, np.uint8)


class Stream:
    def __init__(self):
        self.configuration = None


class FrameBufferAllocator:
    def __init__(self, camera):
        self._buffers = {}

    def allocate(self, stream):
        configuration = stream.configuration
        buffers = []
        for _ in range(configuration.buffer_count):
            fd = memfd(configuration.frame_size)
            buffers.append(FrameBuffer([FrameBuffer.Plane(fd, 0, configuration.frame_size)]))
            os.close(fd)
        self._buffers[stream] = buffers
        return len(buffers)

    @property
    def allocated(self):
        return bool(self._buffers)

    def buffers(self, stream):
        return self._buffers[stream]


class Request:
    class Status(enum.Enum):
        Pending, Complete, Cancelled = range(3)

    class Reuse(enum.Enum):
        Default, ReuseBuffers = range(2)

    def __init__(self, camera, cookie):
        self._camera, self.cookie = camera, cookie
        self.buffers, self.metadata, self._controls = {}, {}, {}
        self.status, self.sequence = Request.Status.Pending, 0

    def add_buffer(self, stream, buffer):
        self.buffers[stream] = buffer

    def set_control(self, control, value):
        self._controls[control] = value

    def reuse(self):
        self.status, self.metadata, self._controls = Request.Status.Pending, {}, {}
