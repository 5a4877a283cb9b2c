"""Controls and properties that the simulated camera knows."""

from __future__ import annotations

import enum


class ControlType(enum.Enum):
    Null, Bool, Byte, Integer32, Integer64, Float, String, Rectangle, Size = range(9)


class ControlId:
    def __init__(self, number, name, kind, vendor="libcamera"):
        self.id, self.name, self.type, self.vendor = number, name, kind, vendor

    def __repr__(self):
        return f"{self.vendor}.{self.name}"


class ControlInfo:
    def __init__(self, least, most, default=None):
        self.min, self.max, self.default, self.values = least, most, default, []


class _Namespace:
    pass


_KINDS = {
    ControlType.Bool: "AeEnable AwbEnable",
    ControlType.Integer32: "ExposureTime ExposureTimeMode AnalogueGainMode ColourTemperature AfMode AeState AwbMode "
    "SensorBlackLevels FocusFoM",
    ControlType.Integer64: "FrameDuration FrameDurationLimits SensorTimestamp",
    ControlType.Float: "AnalogueGain DigitalGain Brightness Contrast Saturation Sharpness ColourGains Lux LensPosition "
    "SensorTemperature ExposureValue",
    ControlType.Rectangle: "ScalerCrop",
}
_PROPERTIES = {
    ControlType.Integer32: "Location Rotation",
    ControlType.String: "Model",
    ControlType.Size: "UnitCellSize PixelArraySize",
    ControlType.Rectangle: "PixelArrayActiveAreas ScalerCropMaximum",
    ControlType.Float: "SensorSensitivity",
    ControlType.Integer64: "SystemDevices",
}


def _catalogue(kinds):
    space = _Namespace()
    space.draft, space.rpi = _Namespace(), _Namespace()
    names = [(name, kind) for kind, text in kinds.items() for name in text.split()]
    for number, (name, kind) in enumerate(names, start=1):
        setattr(space, name, ControlId(number, name, kind))
    return space


controls, properties = _catalogue(_KINDS), _catalogue(_PROPERTIES)
controls.draft.NoiseReductionMode = ControlId(10002, "NoiseReductionMode", ControlType.Integer32, "draft")
controls.draft.NoiseReductionModeEnum = enum.IntEnum("NoiseReductionModeEnum", "Off Fast HighQuality Minimal", start=0)
controls.AfModeEnum = enum.IntEnum("AfModeEnum", "Manual Auto Continuous", start=0)
properties.draft.ColorFilterArrangement = ControlId(10001, "ColorFilterArrangement", ControlType.Integer32, "draft")
properties.draft.ColorFilterArrangementEnum = enum.IntEnum(
    "ColorFilterArrangementEnum", "RGGB GRBG GBRG BGGR RGB MONO", start=0
)
