"""Renders all camera views into one file, with a process a core; an interrupted rendering goes on where it was."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from device.arrays import Array
from device.images import read_image
from training.compose import cut_out
from training.photos import Photo
from training.views import VIEW_PX, Material, Plan, make_view, plan_views

PHOTO_PX = 288
"""Longest side of a photograph that views are made of, pixels: twice a view's, so that a near view stays sharp."""
_BLOCK = 1024

# What the workers share. Set before they are forked, so that nothing of it is copied or pickled.
_shared: tuple[Sequence[Plan], Material, int, Path] | None = None


def render_views(
    photos: Sequence[Photo], fashion_images: Array, fashion_labels: Array, seed: int, folder: Path
) -> Array:
    """The views' targets, int64, shape (n,).

    `folder`/views.npy then holds their pixels, uint8 (n, 140, 140, 3), B,G,R, and aspects.npy float32 (n,).

    Must run before TensorFlow has started its threads: workers are forked.
    """
    global _shared
    plans = plan_views([photo.target for photo in photos], fashion_labels, seed)
    targets = np.array([plan.target for plan in plans])
    marks = folder / "views-done.npy"
    blocks = -(-len(plans) // _BLOCK)
    done = np.load(marks) if marks.exists() else np.zeros(blocks, bool)
    if done.all():
        return targets
    folder.mkdir(parents=True, exist_ok=True)
    if not done.any():
        np.lib.format.open_memmap(folder / "views.npy", "w+", np.uint8, (len(plans), VIEW_PX, VIEW_PX, 3))
        np.lib.format.open_memmap(folder / "aspects.npy", "w+", np.float32, (len(plans),))
    context, workers = multiprocessing.get_context("fork"), len(os.sched_getaffinity(0))
    cv2.setNumThreads(1)
    with context.Pool(workers) as pool:
        loading = pool.imap(_load, [photo.path for photo in photos], chunksize=32)
        loaded = list(tqdm(loading, desc="cut-outs", total=len(photos), unit="photo", mininterval=2))
    pixels, garments = zip(*loaded, strict=True)
    _shared = plans, Material(pixels, garments, fashion_images), seed, folder
    waiting = np.flatnonzero(~done)
    bar = tqdm(desc="views", total=len(plans), initial=int(done.sum()) * _BLOCK, unit="view", mininterval=2)
    with context.Pool(workers) as pool:
        for block in pool.imap_unordered(_render, waiting):
            done[block] = True
            np.save(marks, done)
            bar.update(min(_BLOCK, len(plans) - block * _BLOCK))
    bar.close()
    _shared = None
    return targets


def _load(path: Path) -> tuple[Array, object]:
    photo = read_image(path)
    scale = PHOTO_PX / max(photo.shape[:2])
    photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return photo, cut_out(photo)


def _render(block: int) -> int:
    if _shared is None:
        raise RuntimeError("_render outside render_views")
    plans, material, seed, folder = _shared
    views, aspects = (np.lib.format.open_memmap(folder / name, "r+") for name in ("views.npy", "aspects.npy"))
    for number in range(block * _BLOCK, min(len(plans), (block + 1) * _BLOCK)):
        views[number], aspects[number] = make_view(plans[number], number, material, seed)
    views.flush()
    aspects.flush()
    return block
