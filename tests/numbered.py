"""Pictures that carry their number, so that a test can tell which frame it got."""

from __future__ import annotations

import numpy as np

_BITS = 16
_BLOCK_PX = 8


def numbered(width: int, height: int, number: int) -> np.ndarray:
    """uint8 (height, width): a gray ramp; 16 blocks along its upper edge spell the number in binary."""
    gray = np.tile(np.linspace(16, 235, width).astype(np.uint8), (height, 1))
    for bit in range(_BITS):
        gray[:_BLOCK_PX, _BLOCK_PX * bit : _BLOCK_PX * (bit + 1)] = 255 if number >> bit & 1 else 0
    return gray


def number_in(pixels: np.ndarray) -> int:
    """The number in a picture of `numbered`, gray or B,G,R."""
    row = pixels[_BLOCK_PX // 2, _BLOCK_PX // 2 : _BLOCK_PX * _BITS : _BLOCK_PX]
    return sum(1 << bit for bit, level in enumerate(row.reshape(_BITS, -1)[:, 0]) if level > 127)
