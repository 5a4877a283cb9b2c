"""Camera views: what a camera might have seen of each training photograph and Fashion-MNIST garment.

View number n is a function of (seed, n) alone, so any process can make any of them, and an interrupted rendering
goes on. Views are squares: a whole frame squashed, as the preprocessing squashes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import cv2
import numpy as np

from device.arrays import Array
from training.compose import Garment, draw_person, fashion_garment, place, room, shop_paper
from training.photos import FOOTWEAR, NONE, TARGETS

VIEW_PX = 140
"""Side of a view, pixels: five times 28, and enough for the teacher."""
_NONE = TARGETS.index(NONE)
# Views a photograph: rare classes more often. Chosen so that no target has under 3,000 views.
_PHOTO_VIEWS = {
    "Sandal": 36, "Sneaker": 36, "Ankle boot": 48, FOOTWEAR: 20, "Dress": 15, "Coat": 13, "Shirt": 13, NONE: 11,
    "Trouser": 10, "Pullover": 10, "T-shirt/top": 9, "Bag": 20,
}  # fmt: skip
_FASHION_VIEWS = {"Sandal": 3600, "Sneaker": 3600, "Bag": 3600, "Ankle boot": 3600}
_FASHION_VIEWS_ELSE = 2200
_EMPTY_VIEWS = 2500
_PLACED_SHARE = 3  # One cut-out that is placed elsewhere for so many views of the photograph itself.
_BORDERS = (cv2.BORDER_REFLECT_101, cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT, None)


class Plan(NamedTuple):
    """One view to make. kind: a view of photograph `source`, its cut-out placed, Fashion-MNIST's image, or nothing."""

    kind: Literal["photo", "placed", "fashion", "empty"]
    source: int
    target: int


class Material(NamedTuple):
    """What views are made of: photographs (B,G,R), their cut-outs, Fashion-MNIST's training images (28, 28)."""

    photos: Sequence[Array]
    garments: Sequence[Garment | None]
    fashion: Array


def plan_views(photo_targets: Sequence[int], fashion_labels: Array, seed: int) -> list[Plan]:
    """All views of an epoch, shuffled. photo_targets: index into TARGETS for each photograph."""
    rng = np.random.default_rng((seed, 0))
    plans: list[Plan] = []
    for source, target in enumerate(photo_targets):
        views = _PHOTO_VIEWS[TARGETS[target]]
        plans += [Plan("photo", source, target)] * views
        plans += [Plan("placed", source, target)] * (views // _PLACED_SHARE)
    for label in range(10):
        members = np.flatnonzero(fashion_labels == label)
        views = min(len(members), _FASHION_VIEWS.get(TARGETS[label], _FASHION_VIEWS_ELSE))
        plans += [Plan("fashion", int(source), label) for source in rng.choice(members, views, replace=False)]
    plans += [Plan("empty", 0, _NONE)] * _EMPTY_VIEWS
    return [plans[number] for number in rng.permutation(len(plans))]


class View(NamedTuple):
    """pixels: uint8, shape (140, 140, 3), B,G,R, squashed to a square. aspect: the frame's width / height before."""

    pixels: Array
    aspect: float


def make_view(plan: Plan, number: int, material: Material, seed: int) -> View:
    """View `number`."""
    rng = np.random.default_rng((seed, 1, number))
    kind = plan.kind
    garment = material.garments[plan.source] if kind == "placed" else None
    if kind == "photo" or (kind == "placed" and garment is None):
        framed = reframe(rng, material.photos[plan.source], material.photos)
        return View(relight(rng, framed.pixels), framed.aspect)
    if kind == "empty":
        return View(relight(rng, _nothing(rng, material.photos)), 1.0)
    if garment is None:
        garment = fashion_garment(rng, material.fashion[plan.source])
    on_paper = rng.random() < (0.75 if kind == "placed" else 0.6)
    background = shop_paper(rng, VIEW_PX) if on_paper else room(rng, VIEW_PX, material.photos)
    return View(relight(rng, place(rng, background, garment, TARGETS[plan.target]), strength=0.5), 1.0)


def reframe(rng: np.random.Generator, photo: Array, photos: Sequence[Array]) -> View:
    """The photograph as if taken from elsewhere: nearer, farther (down to a third), turned, upside down, off centre."""
    height, width = photo.shape[:2]
    choice = rng.random()
    if choice < 0.4:
        zoom = rng.uniform(0.95, 1.05)
    elif choice < 0.7:
        zoom = rng.uniform(0.65, 1.0)
    else:
        zoom = np.exp(rng.uniform(0, np.log(2.9)))
    aspect = np.exp(rng.normal(0, 0.09))
    if rng.random() < 0.25:  # A camera's frame is not always the photograph's: landscape for portrait, or square.
        aspect *= np.sqrt(height / width) ** rng.choice([1.0, 0.5])
    choice = rng.random()
    turned = rng.normal(0, 8) + (180 if 0.7 <= choice < 0.85 else 0) if choice < 0.85 else rng.uniform(-40, 40)
    room_to_move = 0.10 + 0.30 * max(0.0, 1 - 1 / zoom)
    frame = np.array([width * zoom * aspect, height * zoom / aspect])
    frame_aspect = float(frame[0] / frame[1])
    centre = np.array([width, height]) / 2 + rng.uniform(-room_to_move, room_to_move, 2) * frame
    mirror = -1 if rng.random() < 0.5 else 1
    cosine, sine = np.cos(np.deg2rad(turned)), np.sin(np.deg2rad(turned))
    turn = np.array([[cosine, -sine], [sine, cosine]]) * (frame / VIEW_PX * [mirror, 1])
    matrix = np.hstack([turn, (centre - turn @ np.full(2, (VIEW_PX - 1) / 2))[:, None]])  # view -> photograph

    border = _BORDERS[rng.choice(4, p=[0.2, 0.3, 0.3, 0.2])]
    if border is None:
        seen = _warp(photo, matrix, cv2.BORDER_CONSTANT)
        inside = _warp(np.full((height, width), 255, np.uint8), matrix, cv2.BORDER_CONSTANT)[..., None] / 255
        pixels = np.clip(seen + room(rng, VIEW_PX, photos) * (1 - inside), 0, 255).astype(np.uint8)
        return View(pixels, frame_aspect)
    colour = (0.0, 0.0, 0.0)
    if border == cv2.BORDER_CONSTANT:
        edges = np.concatenate([photo[0], photo[-1], photo[:, 0], photo[:, -1]])
        plain = np.full(3, rng.choice([0, 128, 255, rng.integers(256)]))
        colour = tuple(float(level) for level in (np.median(edges, axis=0) if rng.random() < 0.6 else plain))
    return View(_warp(photo, matrix, border, colour), frame_aspect)


def relight(rng: np.random.Generator, view: Array, strength: float = 1.0) -> Array:
    """Exposure, contrast, colour cast, darkness, slanting light, blur and noise. uint8, the view's shape."""
    side = view.shape[0]
    lit = view.astype(np.float32)
    if rng.random() < 0.8:
        lit = 255 * (lit / 255) ** np.exp(rng.normal(0, 0.3 * strength))
        lit = (lit - 128) * np.exp(rng.normal(0, 0.18 * strength)) + 128 + rng.normal(0, 18 * strength)
    if rng.random() < 0.4:
        lit *= np.exp(rng.normal(0, 0.08, 3))
    if rng.random() < 0.2:
        lit *= rng.uniform(0.25, 1)
    if rng.random() < 0.25:
        y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
        angle = rng.uniform(0, 2 * np.pi)
        lit *= (1 + rng.uniform(0, 0.35) * (np.cos(angle) * x + np.sin(angle) * y))[..., None]
    lit = np.clip(lit, 0, 255).astype(np.float32)
    if rng.random() < 0.3:
        lit = cv2.GaussianBlur(lit, (0, 0), rng.uniform(0.3, 0.022 * side))
    if rng.random() < 0.3:
        lit = lit + rng.normal(0, rng.uniform(2, 18), lit.shape)
    return np.clip(lit, 0, 255).astype(np.uint8)


def _nothing(rng: np.random.Generator, photos: Sequence[Array]) -> Array:
    """No garment: a room, noise, sometimes somebody who wears nothing that counts."""
    if rng.random() < 0.8:
        view = room(rng, VIEW_PX, photos)
    else:
        noise = rng.normal(rng.uniform(0, 255), rng.uniform(0, 60), (VIEW_PX, VIEW_PX, 3))
        view = np.clip(noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        half = VIEW_PX / 2
        draw_person(rng, view, "top" if rng.random() < 0.5 else "dress", (half, half, half, half))
    return view


def _warp(image: Array, matrix: Array, border: int, colour: tuple[float, ...] = (0.0, 0.0, 0.0)) -> Array:
    """`matrix` maps view to image. Shrinks first where the view is much coarser, else warping would alias."""
    step = max(abs(matrix[0, 0]) + abs(matrix[0, 1]), abs(matrix[1, 0]) + abs(matrix[1, 1]))
    if step > 1.5:
        small = cv2.resize(image, None, fx=1.2 / step, fy=1.2 / step, interpolation=cv2.INTER_AREA)
        matrix = matrix * np.array([[small.shape[1] / image.shape[1]], [small.shape[0] / image.shape[0]]])
        image = small
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped: Array = cv2.warpAffine(
        image, matrix, (VIEW_PX, VIEW_PX), flags=flags, borderMode=border, borderValue=colour
    )
    return warped
