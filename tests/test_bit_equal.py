"""What was made faster gives what it gave: pictures byte for byte, answer for answer."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import plain_path
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.camera import open_camera
from device.classifier import to_prediction
from device.config import CameraConfig
from device.decision import Decision
from device.frame import Prediction
from device.gray import passing_gray, passing_samples, to_gray
from device.images import read_image
from device.locate import locate
from device.model_card import OutputSpec
from device.preprocess import preprocessing

NAMES = sorted(plain_path.PREPROCESSINGS)


def assert_same_pictures(pixels: np.ndarray) -> None:
    for name in NAMES:
        expected = plain_path.PREPROCESSINGS[name](pixels)
        for _ in range(2):  # what is used again must not be seen
            np.testing.assert_array_equal(preprocessing(name)(pixels), expected)
    gray = plain_path.to_gray(pixels)
    assert locate(gray, 28) == plain_path.locate(gray, 28)


@settings(max_examples=150, deadline=None)
@given(
    height=st.integers(1, 700),
    width=st.integers(1, 700),
    colour=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    coarse=st.integers(1, 60),
)
def test_any_frame(height: int, width: int, colour: bool, seed: int, coarse: int):
    """Noise of any grain, with a bright or dark patch on it."""
    rng = np.random.default_rng(seed)
    shape = (-(-height // coarse), -(-width // coarse), *((3,) if colour else ()))
    few = rng.integers(0, 256, shape, np.uint8)
    pixels = cv2.resize(few, (width, height), interpolation=cv2.INTER_NEAREST)
    top, left = rng.integers(0, height), rng.integers(0, width)
    pixels[top : top + height // 2, left : left + width // 3] = rng.integers(0, 256)
    assert_same_pictures(pixels)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (320, 240), (1280, 720), (1920, 1080), (601, 437)])
def test_frames_of_a_camera(width: int, height: int):
    config = CameraConfig(width_px=width, height_px=height)
    with open_camera(config, paced=False, seed=5) as camera:
        for _, frame in zip(range(60), camera, strict=False):
            if frame.sequence % 4 == 0:
                assert_same_pictures(frame.pixels)
                assert_same_pictures(to_gray(frame.pixels))
                # As a camera's buffer is: rows longer than the picture.
                assert_same_pictures(frame.pixels[3:-5, 7:-11])


def test_photographs(photos: list[Path]):
    for path in photos:
        assert_same_pictures(read_image(path))


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_flat_and_two_coloured_frames(level: int):
    pixels = np.full((480, 640, 3), level, np.uint8)
    assert_same_pictures(pixels)
    pixels[100:300, 200:400] = 255 - level
    assert_same_pictures(pixels)


@settings(max_examples=150, deadline=None)
@given(
    height=st.integers(1, 1100), width=st.integers(1, 2000), columns=st.sampled_from([28, 64]), rows=st.integers(1, 64)
)
def test_samples_are_the_very_pixels(height: int, width: int, columns: int, rows: int):
    gray = (np.arange(height)[:, np.newaxis] * 31 + np.arange(width) * 17).astype(np.uint8)
    np.testing.assert_array_equal(passing_samples(gray, columns, rows), plain_path.every_so_often(gray, columns, rows))
    colour = np.dstack([gray, gray[::-1], gray[:, ::-1]])
    expected = plain_path.to_gray(np.ascontiguousarray(plain_path.every_so_often(colour, columns, rows)))
    np.testing.assert_array_equal(passing_samples(colour, columns, rows), expected)


def test_the_luma_of_a_part_is_that_of_the_whole():
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (97, 131, 3), np.uint8)
    whole = to_gray(pixels)
    for _ in range(300):
        top, left = rng.integers(0, 90), rng.integers(0, 120)
        part = np.s_[top : top + rng.integers(1, 97), left : left + rng.integers(1, 131)]
        np.testing.assert_array_equal(passing_gray(pixels[part]), whole[part])


logits = st.lists(st.floats(-90, 90, width=32), min_size=10, max_size=10)


@settings(deadline=None)
@given(logits, st.booleans(), st.floats(0.05, 5))
def test_predictions(values: list[float], background: bool, temperature: float):
    output = OutputSpec("float32", (1, 10), background, temperature)
    row = np.array(values, np.float32)
    mine, plain = to_prediction(row.tolist(), output), plain_path.to_prediction(row, output)
    assert {type(score) for score in mine.scores} == {float}
    assert mine.scores == pytest.approx(plain.scores, rel=1e-12)
    np.testing.assert_array_equal(np.float32(mine.scores), np.float32(plain.scores))
    assert mine.garment == pytest.approx(plain.garment, rel=1e-12)
    assert mine.label == plain.label
    assert mine.score == max(mine.scores)
    assert mine.confidence == mine.garment * mine.score


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 2.0]), st.sampled_from([0.0, 0.15]), st.floats(0.1, 0.9))
def test_answers(seed: int, smoothing_s: float, hysteresis: float, unsure_below: float):
    """A thousand frames about ten labels that come and go, at uneven times."""
    rng = np.random.default_rng(seed)
    mine = Decision(unsure_below, smoothing_s, hysteresis)
    plain = plain_path.Decision(unsure_below, smoothing_s, hysteresis)
    now_ns = 10**12
    favourite = 0
    for _ in range(200):
        now_ns += int(rng.integers(0, 200_000_000))
        favourite = int(rng.integers(0, 10)) if rng.random() < 0.1 else favourite
        scores = rng.dirichlet(np.where(np.arange(10) == favourite, 3.0, 0.5))
        prediction = Prediction(tuple(scores.tolist()), float(rng.random() ** 0.3))
        assert mine(prediction, now_ns) == plain(prediction, now_ns)
        np.testing.assert_allclose(mine._average, plain._average, rtol=1e-12)
