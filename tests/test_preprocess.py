"""Frame -> 28x28: any frame, cheap sizes, Fashion-MNIST's look."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import ModelError
from device.locate import locate
from device.preprocess import (
    PREPROCESSINGS,
    crop_to_multiples,
    cutout_1,
    frame_1,
    located_6,
    preprocessing,
    stretch_1,
    to_gray,
)


@pytest.mark.parametrize("name", PREPROCESSINGS)
@given(height=st.integers(1, 200), width=st.integers(1, 200), colour=st.booleans(), seed=st.integers(0, 9))
def test_any_frame_gives_28x28_bytes(name: str, height: int, width: int, colour: bool, seed: int):
    shape = (height, width, 3) if colour else (height, width)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    before = pixels.copy()
    image = preprocessing(name)(pixels)
    assert image.shape == ((2, 28, 28) if name == "located-6" else (28, 28))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(pixels, before)  # the frame belongs to the camera


@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_flat_frames_give_no_warning_and_no_error(name: str):
    for level in (0, 127, 255):
        preprocessing(name)(np.full((480, 640, 3), level, np.uint8))


@pytest.mark.parametrize("name", ["frame-1", "cutout-1"])
def test_a_fashion_mnist_image_passes_unchanged(name: str, garments):
    for _, image in garments:
        np.testing.assert_array_equal(preprocessing(name)(image), image)


@pytest.mark.parametrize(("garment_level", "background_level"), [(40, 230), (235, 60)])
def test_cutout_is_bright_on_black_centred_and_longest_edge_28(garment_level: int, background_level: int):
    frame = np.full((480, 640, 3), background_level, np.uint8)
    frame[60:400, 350:520] = garment_level
    image = cutout_1(frame)
    rows, columns = np.flatnonzero(image.max(1) > 100), np.flatnonzero(image.max(0) > 100)
    assert (rows[0], rows[-1]) == (0, 27)
    assert abs((columns[0] + columns[-1]) / 2 - 13.5) <= 1
    assert len(columns) == pytest.approx(28 * 170 / 340, abs=2)
    assert image[14, 14] > 200
    assert image[14, 0] == 0


def test_cutout_finds_fashion_mnist_garments_in_a_frame_again(garments):
    """A product photograph (negated back, on white) comes out close to the Fashion-MNIST image it was."""
    correlations = []
    for _, image in garments[::5]:
        frame = np.full((480, 640), 255, np.uint8)
        frame[60:424, 140:504] = 255 - cv2.resize(image, (364, 364), interpolation=cv2.INTER_CUBIC)
        correlations.append(np.corrcoef(cutout_1(frame).ravel(), image.ravel())[0, 1])
    assert np.median(correlations) > 0.75


def test_frame_is_the_area_average_of_whole_multiples():
    gray = np.random.default_rng(0).integers(0, 256, (480, 640), np.uint8)
    crop = crop_to_multiples(gray)
    assert crop.shape == (476, 616)
    means = crop.reshape(28, 17, 28, 22).mean(axis=(1, 3))
    np.testing.assert_allclose(frame_1(gray), means, atol=0.51)


def test_stretch_makes_dim_and_bright_frames_alike(garments):
    for _, image in garments[::20]:
        frame = cv2.resize(255 - image, (560, 420), interpolation=cv2.INTER_CUBIC)
        usual = stretch_1(frame).astype(int)
        assert np.percentile(usual, 1) == 0
        assert np.percentile(usual, 99) == 255
        dim = (frame * 0.3 + 20).astype(np.uint8)
        assert np.abs(stretch_1(dim).astype(int) - usual).mean() < 4


def test_stretch_does_not_blow_up_the_noise_of_an_empty_frame():
    frame = np.full((480, 640), 120, np.uint8)
    frame[::2] = 122
    assert np.ptp(stretch_1(frame)) <= 25


def test_a_small_image_keeps_its_edges():
    """A picture of 55x55 was once cut down to its middle 28x28."""
    gray = np.zeros((55, 55), np.uint8)
    gray[:8] = 255
    assert frame_1(gray)[0].min() == 255
    assert crop_to_multiples(np.zeros((80, 60), np.uint8)).shape == (80, 60)


def test_a_far_garment_is_seen_nearly_as_large_as_a_near_one():
    def frame(scale: float) -> np.ndarray:
        pixels = np.full((480, 640, 3), 200, np.uint8)
        half_height, half_width = int(180 * scale), int(90 * scale)
        pixels[240 - half_height : 240 + half_height, 320 - half_width : 320 + half_width] = 40
        return pixels

    def dark_share(image: np.ndarray) -> float:
        return float((image < 100).mean())

    whole = dark_share(stretch_1(frame(0.8))) / dark_share(stretch_1(frame(0.45)))
    for near, far in zip(located_6(frame(0.8)), located_6(frame(0.45)), strict=True):
        assert dark_share(far) > 1.5 * dark_share(stretch_1(frame(0.45)))
        assert dark_share(near) / dark_share(far) < 0.75 * whole  # the margin around the box keeps it from being 1


def test_nothing_is_located_in_an_empty_frame():
    empty = np.full((480, 640, 3), 120, np.uint8)
    row, column, side = locate(to_gray(empty), 28)
    assert side == 554  # the frame's area
    assert (row, column) == (-37, 43)


def test_of_a_garment_that_fills_a_tall_frame_both_ends_are_seen():
    """Of 3:4 a square as wide as the frame showed the middle three quarters: a dress looked like a shirt."""
    pixels = np.full((640, 480), 230, np.uint8)
    pixels[30:610, 140:340] = 120
    pixels[30:100, 140:340] = 20  # the collar
    pixels[540:610, 140:340] = 60  # the hem
    far, _ = located_6(pixels)
    assert far[3, 14] < 40, "the collar"
    assert 40 < far[24, 14] < 100, "the hem"
    np.testing.assert_array_equal(far[:, 0], far[:, 3])  # beyond the frame its edge goes on


def test_nearer_is_the_middle_of_farther_and_mirrored():
    pixels = np.full((480, 640), 230, np.uint8)
    pixels[140:340, 220:330] = 40
    pixels[140:340, 330:420] = 120
    far, near = located_6(pixels)
    wide, wider = ((crop[14] < 200).sum() for crop in (far, near))
    assert wider == pytest.approx(wide * 4 / 3, abs=1.5)
    assert far[14, 8] < 40 < far[14, 20] < 200, "the dark half is left"
    assert near[14, 20] < 40 < near[14, 8] < 200, "and right in a mirror"


def test_an_image_of_28x28_is_asked_as_it_is_and_mirrored(garments):
    for _, image in garments[::20]:
        seen, mirrored = located_6(image)
        np.testing.assert_array_equal(seen, stretch_1(image))
        np.testing.assert_array_equal(mirrored, seen[:, ::-1])


def test_colour_and_its_luma_are_the_same_frame():
    """The Y plane of a Pi's lores stream must give what a colour frame gives."""
    colour = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    np.testing.assert_array_equal(frame_1(colour), frame_1(to_gray(colour)))


def test_an_unknown_name_says_what_is_known():
    with pytest.raises(ModelError, match=r"'frame-0': unknown here \(known: .*cutout-1"):
        preprocessing("frame-0")
