"""Stand-ins for shop photographs, since there are none to measure on. Frames are uint8, B,G,R or gray.

Garments of photographs cut out and placed as the training does (`training.compose`), so what only the generator gets
wrong does not show; and Fashion-MNIST's images as the shop photographs that they were before they were negated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from device.arrays import Array
from device.labels import LABELS
from training.compose import cut_out, place, shop_paper
from training.data import Split

_SIDE_PX = 280


class Frames(NamedTuple):
    """Pictures and, for each, the index of its label."""

    images: list[Array]
    truth: Array


def stand_ins(photos: Sequence[Array], truth: Array, fashion: Split) -> dict[str, Frames]:
    """Name -> frames. photos: with their labels' indices in `truth`; what has no label is left out."""
    shown = [(cut_out(photo), label) for photo, label in zip(photos, truth, strict=True) if label < len(LABELS)]
    garments = [(garment, label) for garment, label in shown if garment]
    labels = np.array([label for _, label in garments], int)
    rng = np.random.default_rng(0)
    flat, worn = (
        [place(rng, shop_paper(rng, _SIDE_PX), garment, LABELS[label], share) for garment, label in garments]
        for share in (0.0, 1.0)
    )
    return {
        "photographs cut out, on shop paper": Frames(flat, labels),
        "of them, worn by drawn people": Frames(worn, labels),
        "Fashion-MNIST validation images, dark on white": Frames(
            [_product(each) for each in fashion.images], fashion.labels
        ),
    }


def _product(image: Array) -> Array:
    """Fashion-MNIST's uint8 (28, 28) -> (280, 280), not negated, with a margin of white."""
    framed = cv2.copyMakeBorder(255 - image, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=(255.0,))
    return cv2.resize(framed, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_CUBIC)
