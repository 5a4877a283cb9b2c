"""Confidences that mean what they say, and the threshold under which the answer is "unsure". numpy only.

Temperature scaling: Guo et al. 2017, arXiv:1706.04599. Confidence is computed by the device's own code.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from device.arrays import Array
from device.classifier import to_prediction
from device.errors import DataError
from device.labels import LABELS
from device.model_card import OutputSpec

KEPT_SHARE = 0.93
"""Share of right answers that the threshold must keep on validation: 0.90 is demanded of unseen people."""
_TEMPERATURES = np.exp(np.linspace(np.log(0.4), np.log(3.0), 81))


class Calibration(NamedTuple):
    """temperature: for the card. unsure_below: confidence 0..1. error: expected calibration error, 0..1.

    refused: share of the `none` photographs under the threshold, nan without any.
    """

    temperature: float
    unsure_below: float
    error: float
    refused: float


def calibrate(logits: Array, truth: Array, kept_share: float = KEPT_SHARE) -> Calibration:
    """From validation: logits float32 (n, 10); truth (n,), 0..9, or anything above for none of the ten.

    Raises DataError when no answer is right: nothing can be said of confidences then.
    """
    garment = truth < len(LABELS)
    right = garment & (logits.argmax(axis=1) == truth)
    if not right.any():
        raise DataError(
            f"of {garment.sum()} photographs that were held out none is answered rightly, so the confidence cannot be "
            "calibrated; are the labels right? Else train on more photographs or in more steps"
        )
    inside, labels = logits[garment], truth[garment]
    losses = [
        -np.log([to_scores(row, t)[label] + 1e-9 for row, label in zip(inside, labels, strict=True)]).mean()
        for t in _TEMPERATURES
    ]
    temperature = float(_TEMPERATURES[int(np.argmin(losses))])
    output = OutputSpec("float32", (1, len(LABELS)), background=True, temperature=temperature)
    confidence = np.array([to_prediction(row, output).confidence for row in logits.tolist()])
    threshold = float(np.quantile(confidence[right], 1 - kept_share))
    scores = np.array([to_prediction(row, output).score for row in inside.tolist()])
    error = calibration_error(scores, inside.argmax(axis=1) == labels)
    refused = float((confidence[~garment] < threshold).mean()) if (~garment).any() else float("nan")
    return Calibration(temperature, threshold, error, refused)


def to_scores(logits: Array, temperature: float) -> Array:
    """Ten logits -> ten probabilities, as the device computes them."""
    output = OutputSpec("float32", (1, len(LABELS)), temperature=temperature)
    return np.array(to_prediction(logits.tolist(), output).scores)


def calibration_error(scores: Array, right: Array, bins: int = 15) -> float:
    """Expected calibration error over bins of equal width: |accuracy - mean score|, weighted by count."""
    which = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = [abs(right[which == b].mean() - scores[which == b].mean()) * (which == b).mean() for b in np.unique(which)]
    return float(sum(gaps))


def accuracy_and_recall(answers: Array, truth: Array) -> tuple[float, float]:
    """Accuracy and macro recall over those whose truth is one of the ten; classes that are absent do not count."""
    known = truth < len(LABELS)
    right, truth = (answers == truth)[known], truth[known]
    return float(right.mean()), float(np.mean([right[truth == label].mean() for label in np.unique(truth)]))
