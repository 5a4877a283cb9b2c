"""One steady answer from scores over time."""

from __future__ import annotations

from device.decision import Decision
from device.frame import Prediction
from device.labels import LABELS

MS = 1_000_000


def prediction(label: str, score: float, garment: float = 1.0) -> Prediction:
    scores = [(1 - score) / 9] * 10
    scores[LABELS.index(label)] = score
    return Prediction(tuple(scores), garment)


def test_one_frame_is_named_or_unsure_by_its_confidence():
    assert Decision(0.5)(prediction("Coat", 0.6), 0) == "Coat"
    assert Decision(0.5)(prediction("Coat", 0.4), 0) == "unsure"
    assert Decision(0.5)(prediction("Coat", 0.9, garment=0.3), 0) == "unsure"


def test_flicker_between_two_labels_is_smoothed_away():
    decide = Decision(0.4, smoothing_s=0.3, hysteresis=0.15)
    answers = [decide(prediction("Coat" if i % 2 else "Shirt", 0.7), i * 33 * MS) for i in range(60)]
    assert len(set(answers)) == 1
    alone = Decision(0.4)
    assert len({alone(prediction("Coat" if i % 2 else "Shirt", 0.7), i * 33 * MS) for i in range(60)}) == 2


def test_a_new_garment_is_named_within_a_second():
    decide = Decision(0.5, smoothing_s=0.3, hysteresis=0.15)
    for i in range(30):
        assert decide(prediction("Coat", 0.9), i * 33 * MS) == "Coat"
    answers = [decide(prediction("Bag", 0.9), (30 + i) * 33 * MS) for i in range(30)]
    assert answers[-1] == "Bag"
    assert answers.index("Bag") * 0.033 < 1.0


def test_the_time_between_frames_counts_not_their_number():
    """After a long gap the old garment is forgotten at once."""
    decide = Decision(0.5, smoothing_s=0.3, hysteresis=0.15)
    decide(prediction("Coat", 0.95), 0)
    assert decide(prediction("Bag", 0.95), 5000 * MS) == "Bag"


def test_a_shown_label_is_held_until_clearly_below_the_threshold():
    decide = Decision(0.5, hysteresis=0.1)
    assert decide(prediction("Coat", 0.55), 0) == "Coat"
    assert decide(prediction("Coat", 0.45), 1) == "Coat"
    assert decide(prediction("Coat", 0.35), 2) == "unsure"
    assert decide(prediction("Coat", 0.45), 3) == "unsure"
