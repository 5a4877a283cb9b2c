"""The ten classes, spelt and ordered as in Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747)."""

from typing import Tuple

LABELS: Tuple[str, ...] = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

UNSURE = "unsure"
"""What a decision says when it would rather not name a garment."""
