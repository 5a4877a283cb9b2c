"""Plain values of libcamera: sizes, rectangles, colour spaces."""

from __future__ import annotations

import enum


class Size:
    def __init__(self, width=0, height=0):
        if isinstance(width, Size):
            width, height = width.width, width.height
        self.width, self.height = int(width), int(height)

    def __eq__(self, other):
        return isinstance(other, Size) and (self.width, self.height) == (other.width, other.height)

    def __hash__(self):
        return hash((self.width, self.height))

    def __repr__(self):
        return f"{self.width}x{self.height}"


class Rectangle:
    def __init__(self, x=0, y=0, width=0, height=0):
        self.x, self.y, self.width, self.height = int(x), int(y), int(width), int(height)


class Transform:
    def __init__(self, other=None, rotation=0, hflip=0, vflip=0, transpose=0):
        if isinstance(other, Transform):
            hflip, vflip, transpose = other.hflip, other.vflip, other.transpose
        elif rotation == 180:
            hflip, vflip = not hflip, not vflip
        self.hflip, self.vflip, self.transpose = bool(hflip), bool(vflip), bool(transpose)

    def __str__(self):
        return f"<libcamera.Transform hflip={self.hflip} vflip={self.vflip} transpose={self.transpose}>"


class Orientation(enum.Enum):
    Rotate0 = 1
    Rotate0Mirror = 2
    Rotate180 = 3
    Rotate180Mirror = 4
    Rotate90Mirror = 5
    Rotate270 = 6
    Rotate270Mirror = 7
    Rotate90 = 8


class ColorSpace:
    class Primaries(enum.Enum):
        Raw, Smpte170m, Rec709, Rec2020 = range(4)

    class TransferFunction(enum.Enum):
        Linear, Srgb, Rec709 = range(3)

    class YcbcrEncoding(enum.Enum):
        Null, Rec601, Rec709, Rec2020 = range(4)

    class Range(enum.Enum):
        Full, Limited = range(2)

    def __init__(self, primaries, transfer=None, encoding=None, value_range=None):
        if isinstance(primaries, ColorSpace):
            other = primaries
            primaries, transfer, encoding, value_range = (
                other.primaries, other.transferFunction, other.ycbcrEncoding, other.range
            )  # fmt: skip
        self.primaries, self.transferFunction, self.ycbcrEncoding, self.range = (
            primaries, transfer, encoding, value_range
        )  # fmt: skip

    def __str__(self):
        return f"<libcamera.ColorSpace {self.primaries.name}/{self.ycbcrEncoding.name}/{self.range.name}>"

    @classmethod
    def _named(cls, primaries, transfer, encoding, value_range):
        return cls(
            cls.Primaries[primaries],
            cls.TransferFunction[transfer],
            cls.YcbcrEncoding[encoding],
            cls.Range[value_range],
        )

    Raw = classmethod(lambda cls: cls._named("Raw", "Linear", "Null", "Full"))
    Srgb = classmethod(lambda cls: cls._named("Rec709", "Srgb", "Null", "Full"))
    Sycc = classmethod(lambda cls: cls._named("Rec709", "Srgb", "Rec601", "Full"))
    Smpte170m = classmethod(lambda cls: cls._named("Smpte170m", "Rec709", "Rec601", "Limited"))
    Rec709 = classmethod(lambda cls: cls._named("Rec709", "Rec709", "Rec709", "Limited"))


class PixelFormat:
    def __init__(self, name=""):
        self._name = str(name)

    def __eq__(self, other):
        return isinstance(other, PixelFormat) and self._name == other._name

    def __hash__(self):
        return hash(self._name)

    def __str__(self):
        return self._name
