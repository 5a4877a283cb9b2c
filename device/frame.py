"""The values that flow from the camera to the sinks. All frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from device.arrays import Array
from device.labels import LABELS


@dataclass(frozen=True)
class Frame:
    """One picture from a camera.

    pixels: uint8, shape (height, width, 3) in B,G,R order or (height, width) gray.
    sequence: number of this frame at the source, from 0; a jump is frames skipped.
    captured_ns: `time.monotonic_ns()` when its exposure began, or when it was read if that is unknown.
    exposed_ns: the same clock when its exposure began, where the sensor tells.
    dequeued_ns: the same clock when it left the camera's own queue and was in our hands, for live cameras.
    exposure_us, gain, lux: exposure time in microseconds, analogue times digital gain, estimated light.
    None where unknown.
    origin: where the picture came from, for people (a path, or "").
    truth: the label when the source knows it (synthetic frames), else None.
    """

    pixels: Array
    sequence: int
    captured_ns: int
    origin: str = ""
    truth: str | None = None
    exposed_ns: int | None = None
    dequeued_ns: int | None = None
    exposure_us: float | None = None
    gain: float | None = None
    lux: float | None = None


class Prediction(NamedTuple):
    """What the model says of one image.

    scores: the probability of each of LABELS, given that it is one of the ten; they sum to 1. Python's own numbers: for
    ten of them each of numpy's calls costs more than all of the arithmetic.
    garment: probability that there is one of the ten at all, 0..1; 1.0 for models that cannot tell.
    """

    scores: tuple[float, ...]
    garment: float

    @property
    def label(self) -> str:
        """The best of the ten labels, whatever the decision."""
        return LABELS[self.scores.index(max(self.scores))]

    @property
    def score(self) -> float:
        """The probability of `label`, 0..1."""
        return max(self.scores)

    def by_label(self) -> dict[str, float]:
        """Label -> probability, in the order of LABELS."""
        return {label: round(score, 6) for label, score in zip(LABELS, self.scores)}

    @property
    def confidence(self) -> float:
        """Probability that there is a garment and that it is `label`, 0..1: what the decision looks at."""
        return self.garment * self.score


@dataclass(frozen=True)
class Timings:
    """Monotonic durations of one frame, in nanoseconds; None is unknown.

    wait_ns: from asking the camera until the camera had the frame (until the loop had it, if the camera does not say).
    dequeue_ns: from the camera's having it to the loop's having it: mapping, copying, waiting in a reader's hands.
    preprocess_ns, inference_ns, decision_ns: frame to 28x28, 28x28 to scores, scores to answer.
    total_ns: from having the frame to the answer: the sum of these three.
    age_ns: how old the picture was at the answer, counted as `age_from` says: from its exposure where the sensor
    tells, else from its arrival.
    sinks_before_ns: what the sinks of the frame before took (those of this one have yet to run); None on the first.
    """

    wait_ns: int
    dequeue_ns: int | None
    preprocess_ns: int
    inference_ns: int
    decision_ns: int
    total_ns: int
    age_ns: int | None
    age_from: Literal["exposure", "arrival"]
    sinks_before_ns: int | None


@dataclass(frozen=True)
class Result:
    """One answered frame: what every sink gets.

    image: uint8, shape (28, 28), or several crops (k, 28, 28): what the model saw.
    decision: the label shown to people, or "unsure"; smoothed over frames.
    skipped: frames of the source between the previous result and this one.
    warmup: True while the run settles; such frames are kept out of summaries.
    """

    frame: Frame
    image: Array
    prediction: Prediction
    decision: str
    timings: Timings
    skipped: int
    warmup: bool
