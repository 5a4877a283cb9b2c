"""The frames that everything here is shown."""

from __future__ import annotations

from typing import List, NamedTuple

import numpy as np

from device.arrays import Array
from device.cameras.synthetic import FRAMES_A_GARMENT, SyntheticCamera
from device.config import CameraConfig
from device.gray import to_gray

COUNT = 40


class Shown(NamedTuple):
    """bgr: uint8 (480, 640, 3). gray: its luma, the Y plane of such a frame. truth: the garment's label."""

    bgr: Array
    gray: Array
    truth: str


def moving_frames() -> List[Shown]:
    """40 frames of 40 garments, each of the ten classes four times."""
    with SyntheticCamera(CameraConfig(), paced=False) as camera:
        frames = [camera.frame(round((number + 0.5) * FRAMES_A_GARMENT), 0) for number in range(COUNT)]
    return [Shown(frame.pixels, to_gray(frame.pixels), str(frame.truth)) for frame in frames]


def still_frames() -> List[Array]:
    """Gray frames of one scene, alike but for the sensor's noise. uint8 (480, 640)."""
    scene = moving_frames()[0].gray
    rng = np.random.default_rng(0)
    return [np.clip(scene + rng.normal(0, 4, scene.shape), 0, 255).astype(np.uint8) for _ in range(8)]
