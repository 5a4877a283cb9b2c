"""What loses least when numbers become steps of int8: a tensor's range, and the way a weight is rounded."""

from __future__ import annotations

import itertools

import numpy as np

from device.arrays import Array

_COVERED = 0.9999
_STEPS = 127  # Of a weight, on either side of 0, in TensorFlow's int8.


def covering(counts: Array, least: float, largest: float) -> tuple[float, float]:
    """The range beyond which there is 0.01 % of the values at either end, and 0, which int8 must be able to say.

    One outlier stretches a tensor's whole range, and with it every step to which the others are rounded: Wu et al.
    2020, "Integer quantization for deep learning inference", arXiv:2004.09602, section 4.2. counts: int64, shape
    (bins,), of values in equal bins from `least` to `largest`.
    """
    edges = np.linspace(least, largest, len(counts) + 1)
    share = np.cumsum(counts) / max(1, counts.sum())
    low = edges[np.searchsorted(share, 1 - _COVERED, side="right")]
    high = edges[np.searchsorted(share, _COVERED) + 1]
    return min(0.0, float(low)), max(0.0, float(high))


def rounded(weights: Array, moment: Array) -> Array:
    """A channel's weights on the steps of int8, up or down so that its outputs change least.

    Nagel et al. 2020, "Up or down? Adaptive rounding for post-training quantization", arXiv:2004.10568: their
    layer-wise local loss, here by trying every way. To the nearest, an edge filter's sum is no longer 0, and the light
    of the whole image leaks into it.
    weights: float32, shape (n,). moment: shape (n, n), the inputs' second moments. Gives float32.
    """
    step = float(np.abs(weights).max()) / _STEPS or 1.0
    exact = weights.astype(float) / step
    ways = np.floor(exact + 1e-6) + np.array(list(itertools.product((0, 1), repeat=len(weights))))
    largest = np.abs(exact).argmax()  # The converter takes the step from it: it stays.
    ways = ways[(np.abs(ways) <= _STEPS).all(axis=1) & (ways[:, largest] == np.round(exact[largest]))]
    off = ways - exact
    best = np.einsum("wi,ij,wj->w", off, moment, off).argmin()
    return (ways[best] * step).astype(np.float32)
