"""Camera views: repeatable, of the right look, from any photograph."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from training.compose import cut_out, fashion_garment, place, shop_paper
from training.photos import TARGETS
from training.views import VIEW_PX, Material, make_view, plan_views, reframe


@pytest.fixture(scope="module")
def material(garments) -> Material:
    """Two made-up photographs (a dark shirt on a light floor, and the reverse) and the sample of Fashion-MNIST."""
    photos = []
    for garment, floor in ((40, 210), (220, 60)):
        photo = np.random.default_rng(garment).normal(floor, 6, (288, 216, 3)).clip(0, 255).astype(np.uint8)
        cv2.rectangle(photo, (60, 60), (160, 240), (garment, garment, garment), -1)
        photos.append(photo)
    return Material(photos, [cut_out(photo) for photo in photos], np.array([image for _, image in garments]))


def test_the_cut_out_is_the_garment(material: Material):
    for garment, level in zip(material.garments, (40, 220), strict=True):
        assert garment.cover.shape == garment.pixels.shape[:2]
        assert garment.cover.shape == pytest.approx((181, 101), abs=8)
        assert np.median(garment.pixels[garment.cover > 200]) == pytest.approx(level, abs=3)


def test_a_frame_without_garment_has_no_cut_out():
    assert cut_out(np.full((288, 216, 3), 128, np.uint8)) is None


def test_each_view_is_a_function_of_seed_and_number(material: Material):
    plans = plan_views([0, TARGETS.index("none")], np.arange(200) // 20, seed=3)
    assert plans == plan_views([0, TARGETS.index("none")], np.arange(200) // 20, seed=3)
    assert {plan.kind for plan in plans} == {"photo", "placed", "fashion", "empty"}
    for number in range(0, 120, 2):
        view = make_view(plans[number], number, material, seed=3)
        assert (view.pixels.shape, view.pixels.dtype) == ((VIEW_PX, VIEW_PX, 3), np.uint8)
        again = make_view(plans[number], number, material, seed=3)
        np.testing.assert_array_equal(view.pixels, again.pixels)
        assert view.aspect == again.aspect
    other = make_view(plans[0], 0, material, seed=4)
    assert not np.array_equal(make_view(plans[0], 0, material, seed=3).pixels, other.pixels)


def test_a_view_knows_the_shape_of_its_frame():
    """A disc in a portrait photograph is squashed in the square view, and round again at the view's aspect."""
    photo = np.full((288, 144, 3), 200, np.uint8)
    cv2.circle(photo, (72, 144), 40, (30, 30, 30), -1)
    ratios = []
    for number in range(16):
        view = reframe(np.random.default_rng(number), photo, [photo])
        rows, columns = np.nonzero(view.pixels[..., 0] < 100)
        if rows.min() > 0 and rows.max() < VIEW_PX - 1 and columns.min() > 0 and columns.max() < VIEW_PX - 1:
            ratios.append(np.ptp(columns) * view.aspect / np.ptp(rows))
    assert len(ratios) > 3
    assert ratios == pytest.approx([1] * len(ratios), abs=0.12)


def test_every_class_is_planned_and_rare_ones_more_often():
    targets = [0] * 50 + [9] * 2
    plans = plan_views(targets, np.arange(60_000) % 10, seed=1)
    counts = np.bincount([plan.target for plan in plans], minlength=len(TARGETS))
    assert (counts[:10] >= 2200).all()
    photo_views = [plan for plan in plans if plan.kind == "photo"]
    assert sum(plan.target == 9 for plan in photo_views) / 2 > sum(plan.target == 0 for plan in photo_views) / 50


def test_a_garment_on_paper_covers_what_it_should(garments):
    rng = np.random.default_rng(0)
    for label, image in garments[::10]:
        paper = shop_paper(rng, VIEW_PX)
        placed = place(rng, paper, fashion_garment(rng, image), label, worn_share=0.0)
        changed = (np.abs(placed.astype(int) - paper).max(2) > 8).mean()
        assert 0.01 < changed < 0.9
