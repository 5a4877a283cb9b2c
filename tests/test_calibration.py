"""Confidences that mean what they say, and the threshold for "unsure"."""

from __future__ import annotations

import numpy as np
import pytest

from device.errors import DataError
from training.calibration import accuracy_and_recall, calibrate, calibration_error, to_scores


def drawn_logits(scale: float, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose true temperature is `scale`, with labels drawn from the probabilities they stand for."""
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (count, 10)).astype(np.float32)
    labels = np.array([rng.choice(10, p=row / row.sum()) for row in np.exp(honest.astype(float))])
    return honest * np.float32(scale), labels


def test_temperature_undoes_overconfidence():
    logits, labels = drawn_logits(2.0)
    found = calibrate(logits, labels)
    assert found.temperature == pytest.approx(2.0, rel=0.08)
    assert found.error < 0.03


def test_threshold_keeps_the_share_of_right_answers_that_was_asked_for():
    logits, labels = drawn_logits(1.0, 1000)
    found = calibrate(logits, labels, kept_share=0.9)
    right = logits.argmax(axis=1) == labels
    garment = 1 / (1 + 1 / np.exp(logits.astype(float)).sum(axis=1))
    confidence = np.array([to_scores(row, found.temperature).max() for row in logits]) * garment
    assert (confidence[right] >= found.unsure_below).mean() == pytest.approx(0.9, abs=0.005)


def test_without_a_right_answer_there_is_nothing_to_calibrate():
    with pytest.raises(DataError, match=r"of 3 photographs .* none is answered rightly.*train on more"):
        calibrate(np.eye(10, dtype=np.float32)[[1, 2, 3]], np.array([0, 0, 0]))


def test_none_of_the_ten_is_refused_when_its_logits_are_low():
    garments = np.full((20, 10), -4, np.float32)
    garments[np.arange(20), np.arange(20) % 10] = 6
    logits = np.concatenate([garments, np.full((5, 10), -6, np.float32)])
    truth = np.concatenate([np.arange(20) % 10, np.full(5, 10)])
    assert calibrate(logits, truth).refused == 1.0
    assert np.isnan(calibrate(garments, truth[:20]).refused)


def test_calibration_error_is_the_gap_between_score_and_accuracy():
    scores = np.full(10, 0.9)
    assert calibration_error(scores, np.array([True] * 9 + [False])) == pytest.approx(0.0, abs=1e-9)
    assert calibration_error(scores, np.array([True] * 4 + [False] * 6)) == pytest.approx(0.5)


def test_macro_recall_weighs_classes_alike_and_leaves_out_what_is_none_of_the_ten():
    answers, truth = np.array([0, 0, 0, 1, 3]), np.array([0, 0, 0, 2, 10])
    assert accuracy_and_recall(answers, truth) == (0.75, 0.5)
