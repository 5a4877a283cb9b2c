"""Garments cut out and placed: on shop paper, floors and doors, and on crude people.

There are no shop photographs and no bags among the photographs, so these carry them: cut-outs of the training
photographs, and Fashion-MNIST images made to look as they did before they were negated. Pictures are uint8 B,G,R;
all randomness comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from device.arrays import Array

Colour = tuple[float, ...]
_SKINS_BGR = np.array([[120, 150, 200], [90, 120, 180], [60, 85, 140], [40, 60, 100], [150, 180, 225]], float)
_GRABCUT_LONGEST_PX = 112
_WORN_AS = {
    "T-shirt/top": "top", "Pullover": "top", "Coat": "top", "Shirt": "top", "Dress": "dress", "Trouser": "trouser",
}  # fmt: skip


class Garment(NamedTuple):
    """A garment without its surroundings. pixels: (h, w, 3). cover: uint8 (h, w), 255 where it is."""

    pixels: Array
    cover: Array


def cut_out(photo: Array) -> Garment | None:
    """The garment of a photograph by GrabCut (Rother et al. 2004), None where what is found cannot be one.

    The start is "all but a thin border is garment".
    """
    scale = _GRABCUT_LONGEST_PX / max(photo.shape[:2])
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    margin_x, margin_y = max(2, int(width * 0.04)), max(2, int(height * 0.04))
    box = (margin_x, margin_y, width - 2 * margin_x, height - 2 * margin_y)
    mask = np.zeros((height, width), np.uint8)
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(small, mask, box, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_RECT)
    except cv2.error:
        return None
    found = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    found = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(found)
    areas = stats[:, cv2.CC_STAT_AREA]
    kept = [part for part in range(1, count) if areas[part] > 0.2 * areas[1:].max()]
    found = cv2.morphologyEx(np.isin(parts, kept).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    if not 0.06 < found.mean() < 0.8:
        return None
    cover = cv2.resize(found * 255, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    rows, columns = np.flatnonzero(cover.max(1) > 128), np.flatnonzero(cover.max(0) > 128)
    if len(rows) < 20 or len(columns) < 20:
        return None
    inside = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Garment(photo[inside], cv2.GaussianBlur(cover, (0, 0), 1.2)[inside])


def fashion_garment(rng: np.random.Generator, image: Array, enlarge: int = 6) -> Garment:
    """A Fashion-MNIST image, uint8 (28, 28), as a garment before a camera: enlarged, tinted, mostly not negated."""
    framed = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    cover = (framed > 8).astype(np.uint8)
    if rng.random() < 0.6:
        # White fabric is near black in the negated source: what the outside does not reach belongs to the garment.
        outside = cover.copy()
        cv2.floodFill(outside, None, (0, 0), 1)
        cover |= 1 - outside
    gray = cv2.resize(framed, None, fx=enlarge, fy=enlarge, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    cover = cv2.resize(cover * 255, None, fx=enlarge, fy=enlarge, interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.75:
        gray = 255 - gray
    if rng.random() < 0.5:
        gray = 255 * (gray / 255) ** np.exp(rng.normal(0, 0.5))
    if rng.random() < 0.4:
        darkest = rng.uniform(0, 120)
        gray = darkest + gray * (rng.uniform(darkest + 50, 255) - darkest) / 255
    tint = rng.normal(0, 0.12, 3) if rng.random() < 0.6 else np.zeros(3)
    pixels = np.clip(gray[..., None] * (1 + tint - tint.mean()), 0, 255).astype(np.uint8)
    return Garment(pixels, cv2.GaussianBlur(cover, (0, 0), enlarge * 0.4))


def shop_paper(rng: np.random.Generator, side_px: int) -> Array:
    """A shop's background: white or nearly, at times gray, with a soft fall-off. (side, side, 3)."""
    level = rng.choice([255, rng.uniform(235, 255), rng.uniform(190, 240)], p=[0.6, 0.25, 0.15])
    paper = np.full((side_px, side_px, 3), level, np.float32)
    if rng.random() < 0.3:
        y, x = np.mgrid[-1 : 1 : side_px * 1j, -1 : 1 : side_px * 1j]
        paper -= (rng.uniform(0, 30) * (x**2 + y**2) + rng.normal(0, 8) * x)[..., None]
    return np.clip(paper, 0, 255).astype(np.uint8)


def room(rng: np.random.Generator, side_px: int, photos: Sequence[Array]) -> Array:
    """A floor, bed or door: one colour, or a strip from the border of a photograph. (side, side, 3)."""
    choice = rng.random()
    if choice < 0.3:
        y, x = np.mgrid[-1 : 1 : side_px * 1j, -1 : 1 : side_px * 1j]
        slope = rng.normal(0, 18, 2)
        colour = rng.uniform(0, 255) + rng.normal(0, 12, 3)
        return np.clip(colour + (slope[0] * x + slope[1] * y)[..., None], 0, 255).astype(np.uint8)
    photo = photos[rng.integers(len(photos))]
    height, width = photo.shape[:2]
    share = rng.uniform(0.08, 0.2)
    rows, columns = max(2, int(height * share)), max(2, int(width * share))
    strip = (photo[:rows], photo[-rows:], photo[:, :columns], photo[:, -columns:])[rng.integers(4)]
    if choice < 0.6:
        wall = cv2.resize(strip, (side_px, side_px), interpolation=cv2.INTER_AREA)
    else:
        missing = max(0, side_px - strip.shape[0]), max(0, side_px - strip.shape[1])
        wall = cv2.copyMakeBorder(strip, 0, missing[0], 0, missing[1], cv2.BORDER_REFLECT)[:side_px, :side_px]
    return cv2.GaussianBlur(wall, (0, 0), rng.uniform(0.5, 4)) if rng.random() < 0.5 else wall.copy()


def place(rng: np.random.Generator, background: Array, garment: Garment, label: str, worn_share: float = 0.5) -> Array:
    """The garment on a square background, at 45 to 100 % of its side, sometimes worn. (side, side, 3).

    label: one of LABELS, or anything else for what nobody wears. worn_share: how often a person wears it.
    """
    side = background.shape[0]
    height, width = garment.cover.shape
    worn_as = _WORN_AS.get(label) if rng.random() < worn_share else None
    size = side * rng.uniform(0.45, 1.0)
    if worn_as:
        size *= {"top": rng.uniform(0.55, 0.85), "dress": rng.uniform(0.7, 0.95), "trouser": rng.uniform(0.6, 0.9)}[
            worn_as
        ]
    aspect = np.exp(rng.normal(0, 0.07))
    new_width, new_height = width * size / max(height, width) * aspect, height * size / max(height, width) / aspect
    centre = side / 2 + rng.normal(0, 0.04, 2) * side
    if worn_as == "top":
        centre[1] -= side * rng.uniform(-0.05, 0.15)
    elif worn_as == "trouser":
        centre[1] += side * rng.uniform(0, 0.12)
    turned = rng.normal(0, 4) if worn_as else rng.normal(0, 7) if rng.random() < 0.8 else rng.uniform(-180, 180)
    canvas = background.copy()
    if worn_as:
        draw_person(rng, canvas, worn_as, (centre[0], centre[1], new_width, new_height))
    mirror = -1 if rng.random() < 0.5 else 1  # Fashion-MNIST's shoes all look left.
    shrink = min(1.0, 1.2 * max(new_width / width, new_height / height))
    if shrink < 0.8:  # Else warping would skip pixels and alias.
        garment = Garment(
            cv2.resize(garment.pixels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA),
            cv2.resize(garment.cover, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA),
        )
        height, width = garment.cover.shape
    cosine, sine = np.cos(np.deg2rad(turned)), np.sin(np.deg2rad(turned))
    scale = np.array([new_width / width * mirror, new_height / height])
    turn = np.array([[cosine, -sine], [sine, cosine]]) * scale
    matrix = np.hstack([turn, (centre - turn @ [(width - 1) / 2, (height - 1) / 2])[:, None]])
    pixels = cv2.warpAffine(garment.pixels, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.warpAffine(garment.cover, matrix, (side, side))[..., None] / np.float32(255)
    if rng.random() < 0.4:
        moved = np.roll(cover[..., 0], rng.integers(-4, 5, 2) * side // 100, (0, 1))
        shadow = cv2.GaussianBlur(moved, (0, 0), side * 0.02)[..., None]
        canvas = (canvas * (1 - rng.uniform(0.1, 0.4) * shadow)).astype(np.uint8)
    return np.clip(pixels * cover + canvas * (1 - cover), 0, 255).astype(np.uint8)


def draw_person(rng: np.random.Generator, canvas: Array, worn_as: str, box: tuple[float, float, float, float]) -> None:
    """Draw what shows of a crude wearer around the garment's box (centre x, centre y, width, height; pixels)."""
    x, y, width, height = box
    top, bottom = y - height / 2, y + height / 2
    skin = tuple(_SKINS_BGR[rng.integers(len(_SKINS_BGR))] + rng.normal(0, 8, 3))
    hair = tuple(np.clip(rng.uniform(10, 90) + rng.normal(0, 8, 3), 0, 255))
    cloth = tuple(np.clip(rng.choice([rng.uniform(15, 90), rng.uniform(60, 220)]) + rng.normal(0, 15, 3), 0, 255))

    def ellipse(
        centre_x: float, centre_y: float, half_width: float, half_height: float, colour: tuple[float, ...]
    ) -> None:
        axes = (int(half_width) + 1, int(half_height) + 1)
        cv2.ellipse(canvas, (int(centre_x), int(centre_y)), axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    def block(
        left: float, above: float, right: float, below: float, colour: tuple[float, ...], taper: float = 1.0
    ) -> None:
        middle, half = (left + right) / 2, (right - left) / 2
        corners = [(left, above), (right, above), (middle + half * taper, below), (middle - half * taper, below)]
        cv2.fillPoly(canvas, [np.array(corners, np.int32)], colour, lineType=cv2.LINE_AA)

    if worn_as in ("top", "dress"):
        head = width * (rng.uniform(0.16, 0.26) if worn_as == "top" else rng.uniform(0.2, 0.4))
        head_x, head_y = x + rng.normal(0, 0.04) * width, top - 1.35 * head * rng.uniform(0.75, 1.2)
        if rng.random() < 0.6:
            ellipse(head_x, head_y - 0.13 * head, head * 1.2, head * 1.55, hair)
        if rng.random() < 0.35:
            block(head_x - head * 1.15, head_y, head_x + head * 1.15, top + height * 0.15, hair)
        ellipse(head_x, head_y, head, head * 1.35, skin)
        block(head_x - head / 2, head_y, head_x + head / 2, top + height * 0.1, skin)
        if rng.random() < 0.7:
            arm, hand_y = width * rng.uniform(0.05, 0.1), bottom + height * rng.uniform(-0.25, 0.25)
            for side in (-1, 1):
                arm_x = x + side * width * rng.uniform(0.38, 0.52)
                block(arm_x - arm, top + height * 0.2, arm_x + arm, hand_y, skin, taper=0.7)
    if worn_as == "top" and rng.random() < 0.8:
        leg, feet_y = width * rng.uniform(0.11, 0.16), bottom + height * rng.uniform(0.3, 1.2)
        block(x - 2 * leg, bottom - height * 0.12, x + 2 * leg, bottom + height * 0.3, cloth)
        for side in (-1, 1):
            block(x + side * 1.1 * leg - leg, bottom + height * 0.2, x + side * 1.1 * leg + leg, feet_y, cloth)
    if worn_as == "dress":
        for side in (-1, 1):
            leg_x, leg = x + side * width * rng.uniform(0.1, 0.2), width * rng.uniform(0.05, 0.1)
            feet_y = bottom + height * rng.uniform(0.15, 0.6)
            block(leg_x - leg, bottom - height * 0.1, leg_x + leg, feet_y, skin, taper=0.7)
            if rng.random() < 0.7:
                ellipse(leg_x, feet_y, leg * 1.3, leg, cloth)
    if worn_as == "trouser":
        waist, shoulders_y = width * rng.uniform(0.4, 0.62), top - height * rng.uniform(0.1, 0.7)
        block(x - waist * 1.1, shoulders_y, x + waist * 1.1, top + height * 0.06, cloth if rng.random() < 0.8 else skin)
        for side in (-1, 1):
            if rng.random() < 0.6:
                arm_x = x + side * waist * 1.25
                block(arm_x - width * 0.09, shoulders_y, arm_x + width * 0.09, top + height * 0.15, skin)
            if rng.random() < 0.7:
                ellipse(x + side * width * 0.3, bottom, width * 0.16, height * 0.05, cloth)
