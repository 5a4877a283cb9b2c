"""`synthetic://`: garments before a camera, made by code, with the truth known.

The garments are the first 20 of each class of Fashion-MNIST's test set (garments.png beside this file, a row a
class): no model of ours was trained on them. Each is shown for a while, moving over a made-up
background, with light, colour and noise, as a camera would see it. Same seed, same pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, NamedTuple

import cv2
import numpy as np

from device.arrays import Array
from device.cameras.pace import Pace
from device.config import CameraConfig
from device.errors import CameraError
from device.frame import Frame
from device.labels import LABELS
from device.preprocess import SIDE_PX

SHEET = Path(__file__).with_name("garments.png")
FRAMES_A_GARMENT = 20
_NOISE_SIGMA = 5.0


class _Scene(NamedTuple):
    """What stands before the camera for FRAMES_A_GARMENT frames."""

    truth: str
    garment: Array  # uint8 (28, 28, 3), as it looks, not negated
    cover: Array  # float32 (28, 28), 1 where the garment is
    background: Array  # uint8 (height, width, 3)
    size_px: float
    phase: float
    tilt_deg: float


class SyntheticCamera:
    """Frames of moving garments. Never ends by itself; each frame carries its truth."""

    frame_count = 0

    def __init__(self, config: CameraConfig, *, paced: bool = True, seed: int = 0) -> None:
        self._width, self._height = config.width_px, config.height_px
        self._pace = Pace(config.frame_rate_hz if paced else None)
        self._seed = seed
        self._closed = False
        self._garments = _read_sheet()
        self._scene: Dict[int, _Scene] = {}  # the one that stands there, by its number
        rng = np.random.default_rng(seed)
        self._noise = rng.normal(0, _NOISE_SIGMA, (2 * self._height, self._width, 1)).repeat(3, 2).astype(np.int16)
        self.description = f"synthetic garments {self._width}x{self._height} at {config.frame_rate_hz:g} frames/s"

    def __enter__(self) -> SyntheticCamera:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        sequence = -1
        while True:
            sequence, captured_ns = self._pace.wait(sequence + 1)
            if self._closed:
                return
            yield self.frame(sequence, captured_ns)

    def frame(self, sequence: int, captured_ns: int) -> Frame:
        """The frame of this number, whether or not those before it were drawn."""
        number = sequence // FRAMES_A_GARMENT
        if number not in self._scene:
            self._scene = {number: self._new_scene(number)}
        scene = self._scene[number]
        return Frame(self._draw(scene, sequence), sequence, captured_ns, truth=scene.truth)

    def close(self) -> None:
        self._closed = True
        self._pace.stop()

    def _new_scene(self, number: int) -> _Scene:
        rng = np.random.default_rng((self._seed, number))
        label = number % len(LABELS)  # Every class in turn, so a short run still shows all ten.
        negated = self._garments[label, rng.integers(self._garments.shape[1])]
        cover = _cover(negated)
        looks = (255 - negated.astype(np.float32))[:, :, np.newaxis] * rng.uniform(0.75, 1.0, 3)
        return _Scene(
            truth=LABELS[label],
            garment=looks.astype(np.uint8),
            cover=cover,
            background=_background(rng, self._height, self._width),
            size_px=min(self._width, self._height) * rng.uniform(0.6, 0.9),
            phase=rng.uniform(0, 2 * np.pi),
            tilt_deg=rng.uniform(-8, 8),
        )

    def _draw(self, scene: _Scene, sequence: int) -> Array:
        """uint8, shape (height, width, 3), BGR."""
        turn = scene.phase + sequence * 2 * np.pi / 90  # One sway in three seconds at 30 frames/s.
        matrix = cv2.getRotationMatrix2D(
            (SIDE_PX / 2, SIDE_PX / 2), scene.tilt_deg + 3 * np.sin(turn), scene.size_px / SIDE_PX
        )
        matrix[0, 2] += self._width / 2 - SIDE_PX / 2 + 0.05 * self._width * np.sin(turn)
        matrix[1, 2] += self._height / 2 - SIDE_PX / 2 + 0.02 * self._height * np.cos(2 * turn)
        size = (self._width, self._height)
        garment = cv2.warpAffine(scene.garment, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        cover = cv2.warpAffine(scene.cover, matrix, size, flags=cv2.INTER_LINEAR)
        light = float(0.9 + 0.1 * np.sin(turn / 2))
        frame = cv2.blendLinear(garment, scene.background, cover * light, (1 - cover) * light)
        offset = (sequence * 97) % self._height
        return cv2.add(frame, self._noise[offset : offset + self._height], dtype=cv2.CV_8U)


def _read_sheet() -> Array:
    """uint8, shape (10, 20, 28, 28): Fashion-MNIST images, a row a class."""
    sheet = cv2.imread(str(SHEET), cv2.IMREAD_GRAYSCALE)
    if sheet is None:
        raise CameraError(f"{SHEET}: missing or damaged; it comes with the program: check it out again")
    columns = sheet.shape[1] // SIDE_PX
    return sheet.reshape(len(LABELS), SIDE_PX, columns, SIDE_PX).swapaxes(1, 2)


def _cover(negated: Array) -> Array:
    """float32 (28, 28), 1 where the garment is: all that the black outside does not reach."""
    outside = np.pad((negated < 12).astype(np.uint8), 1, constant_values=1)
    cv2.floodFill(outside, None, (0, 0), (2,))
    cover: Array = cv2.GaussianBlur((outside[1:-1, 1:-1] != 2).astype(np.float32), (3, 3), 0.5)
    return cover


def _background(rng: np.random.Generator, height: int, width: int) -> Array:
    """uint8 (height, width, 3): a wall, a floor or a cloth; a colour, slow shades, sometimes stripes."""
    shades: Array = cv2.resize(
        rng.normal(0, 12, (6, 8)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    if rng.random() < 0.4:
        period, angle = rng.uniform(30, 120), rng.uniform(0, np.pi)
        rows, columns = np.mgrid[:height, :width]
        shades = shades + 10 * np.sign(np.sin((columns * np.cos(angle) + rows * np.sin(angle)) * 2 * np.pi / period))
    # Light or dark, seldom in between: a garment of the background's own gray is no test of a classifier.
    level = rng.uniform(170, 230) if rng.random() < 0.7 else rng.uniform(20, 60)
    colour = level + rng.normal(0, 12, 3)
    background: Array = np.clip(shades[:, :, np.newaxis] + colour, 0, 255).astype(np.uint8)
    return background
