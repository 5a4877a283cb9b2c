"""Stream configurations, with the strides of the Pi's image processors."""

from __future__ import annotations

import enum

from libcamera.buffers import Stream
from libcamera.simulator import sim
from libcamera.values import ColorSpace, Orientation, PixelFormat, Rectangle, Size, Transform

RAW = "SRGGB10_CSI2P"
FORMATS = {"YUV420": 1, "RGB888": 3, "BGR888": 3, "XRGB8888": 4, "XBGR8888": 4}
"""Pixel format -> bytes a pixel of its first plane."""

# Multiples that a row of bytes is padded to (linux PR 4419; picamera2 issue 1182).
_STRIDES = {"vc4": {"YUV420": 64, "": 32}, "pisp": {"YUV420": 128, "": 64}}


def layout(pixel_format, size, wanted=0):
    """(stride, bytes of a frame)."""
    if pixel_format == RAW:
        row, multiple, rows = size.width * 10 // 8, 32, size.height
    else:
        strides = _STRIDES[sim.platform]
        row, multiple = size.width * FORMATS[pixel_format], strides.get(pixel_format, strides[""])
        rows = size.height * 3 // 2 if pixel_format == "YUV420" else size.height
    stride = -(-max(row, wanted or 0) // multiple) * multiple
    return stride, stride * rows


class StreamRole(enum.Enum):
    Raw, StillCapture, VideoRecording, Viewfinder = range(4)


class SensorConfiguration:
    def __init__(self):
        self.bit_depth, self.output_size, self.analog_crop = 0, Size(), Rectangle()
        self.binning, self.skipping = (1, 1), (1, 1, 1, 1)

    def is_valid(self):
        return bool(self.bit_depth and self.output_size.width)


class StreamFormats:
    def __init__(self, table):
        self._table = table

    @property
    def pixel_formats(self):
        return list(self._table)

    def sizes(self, pixel_format):
        return self._table[pixel_format]


class StreamConfiguration:
    def __init__(self, formats, pixel_format, size, color_space):
        self.formats, self.pixel_format, self.size = formats, PixelFormat(pixel_format), size
        self.color_space, self.buffer_count = color_space, 4
        self.stride = self.frame_size = 0
        self.stream = Stream()
        self.stream.configuration = self


class CameraConfiguration:
    class Status(enum.Enum):
        Valid, Adjusted, Invalid = range(3)

    def __init__(self, roles):
        self._roles = list(roles)
        self._streams = [_stream(role) for role in roles]
        self.sensor_config, self.orientation, self.transform = None, Orientation.Rotate0, Transform()

    def __iter__(self):
        return iter(self._streams)

    def __len__(self):
        return len(self._streams)

    size = property(__len__)

    def at(self, index):
        return self._streams[index]

    def validate(self):
        result = CameraConfiguration.Status.Valid
        if not self._streams or sum(role != StreamRole.Raw for role in self._roles) > 2:
            return CameraConfiguration.Status.Invalid
        for stream, role in zip(self._streams, self._roles, strict=True):
            before = stream.pixel_format, stream.size
            if role == StreamRole.Raw:
                stream.size, stream.pixel_format = Size(*self._mode(stream.size).size), PixelFormat(RAW)
            elif str(stream.pixel_format) not in FORMATS:
                stream.pixel_format = PixelFormat("XBGR8888")
            if before != (stream.pixel_format, stream.size):
                result = CameraConfiguration.Status.Adjusted
            stream.stride, stream.frame_size = layout(str(stream.pixel_format), stream.size, stream.stride)
        return result

    def _mode(self, size):
        """The sensor's mode: as asked in sensor_config, else the nearest in size."""
        if self.sensor_config is not None and self.sensor_config.is_valid():
            size = self.sensor_config.output_size
        width, height = size.width, size.height
        return min(
            sim.modes,
            key=lambda mode: (
                mode.size[0] < width or mode.size[1] < height,
                abs(mode.size[0] - width) + abs(mode.size[1] - height),
            ),
        )


def _stream(role):
    if role == StreamRole.Raw:
        formats = StreamFormats({PixelFormat(RAW): [Size(*mode.size) for mode in sim.modes]})
        return StreamConfiguration(formats, RAW, Size(*sim.modes[-1].size), ColorSpace.Raw())
    formats = StreamFormats({PixelFormat(name): [Size(*sim.modes[-1].size)] for name in FORMATS})
    return StreamConfiguration(formats, "XBGR8888", Size(800, 600), ColorSpace.Sycc())
