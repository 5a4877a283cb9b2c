"""Results and states as the bytes that the page draws."""

from __future__ import annotations

import cv2
import msgspec

from device.frame import Result
from device.view.slot import State

_WIDEST_PX = 640
_JPEG_QUALITY = 75


class Pictures:
    """Encodes each result once, however many look. encoded: how often it did, for the test of what nobody asked for."""

    def __init__(self) -> None:
        self.encoded = 0
        self._result: Result | None = None
        self._bytes = b""

    def __call__(self, result: Result) -> bytes:
        """What the model saw, then the frame as JPEG, at most 640 pixels wide.

        What it saw is a byte that tells how many images, and 784 gray bytes for each, row by row.
        """
        if result is not self._result:
            self._bytes = bytes([result.image.size // 784]) + result.image.tobytes() + _jpeg(result)
            self._result = result
            self.encoded += 1
        return self._bytes

    def forget(self) -> None:
        """Let the last result go."""
        self._result, self._bytes = None, b""


def message(state: State, pictures: bytes) -> bytes:
    """One message to the page: the state as a line of JSON, and `pictures`, which may be empty."""
    return msgspec.json.encode(state) + b"\n" + pictures


def _jpeg(result: Result) -> bytes:
    pixels = result.frame.pixels
    height, width = pixels.shape[:2]
    if width > _WIDEST_PX:
        size = (_WIDEST_PX, max(1, round(height * _WIDEST_PX / width)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    encoded: bytes = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    return encoded
