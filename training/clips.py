"""Hand-held clips made from photographs: does the answer come soon, and does it stay?

A clip is a photograph before a camera that pans, zooms and shakes. It goes through the board's own preprocessing,
classifier and decision, at 30 frames/s of clip time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from device.arrays import Array
from device.classifier import Classifier
from device.decision import Decision
from device.preprocess import preprocessing
from training.robustness import wall_colour

FRAME_RATE_HZ = 30
SECONDS = 3.0
_SIZE_PX = (640, 480)


class Steadiness(NamedTuple):
    """How soon and how steadily.

    right_share: clips whose last answer is right, 0..1. seconds_to_right: median over those, until the answer is
    right for good. changes_a_minute: how often the shown label changed after the first, mean over all clips.
    """

    clips: int
    right_share: float
    seconds_to_right: float
    changes_a_minute: float


def steadiness(
    classifier: Classifier, photos: Sequence[Array], truth: Sequence[str], decide: Callable[[], Decision]
) -> Steadiness:
    """Show a clip of each photograph, uint8 B,G,R, whose label is `truth`. decide: makes the decision of a clip."""
    preprocess = preprocessing(classifier.card.preprocessing)
    waits, changes, right = [], 0, 0
    shown = zip(photos, truth, strict=True)
    for number, (photo, label) in enumerate(tqdm(shown, desc="clips", total=len(photos), unit="clip")):
        decision = decide()
        answers = [
            decision(classifier(preprocess(frame)), round(at * 1e9 / FRAME_RATE_HZ))
            for at, frame in enumerate(frames(photo, seed=number))
        ]
        changes += sum(before != after for before, after in itertools.pairwise(answers))
        if answers[-1] == label:
            right += 1
            wrong = [at for at, answer in enumerate(answers) if answer != label]
            waits.append((wrong[-1] + 1 if wrong else 0) / FRAME_RATE_HZ)
    minutes = len(photos) * SECONDS / 60
    return Steadiness(
        len(photos), right / len(photos), float(np.median(waits)) if waits else float("nan"), changes / minutes
    )


def frames(photo: Array, seed: int) -> Iterator[Array]:
    """The clip: uint8, shape (480, 640, 3). A hand drifts slowly and trembles at a few hertz; the sensor is noisy."""
    rng = np.random.default_rng(seed)
    count, wall = round(SECONDS * FRAME_RATE_HZ), wall_colour(photo)
    width, height = _SIZE_PX
    fit = min(width / photo.shape[1], height / photo.shape[0])
    zoom = fit * np.linspace(*rng.uniform(0.75, 1.15, 2), count)
    drift = np.linspace(*rng.normal(0, 0.04, (2, 2)), count)  # (count, 2), shares of the frame
    time_s = np.arange(count)[:, np.newaxis] / FRAME_RATE_HZ
    tremble = 0.006 * np.sin(2 * np.pi * (rng.uniform(2, 8, 2) * time_s + rng.random(2)))
    degrees = rng.normal(0, 3) + 2 * np.sin(2 * np.pi * (rng.uniform(0.2, 1) * time_s[:, 0] + rng.random()))
    for at in range(count):
        matrix = cv2.getRotationMatrix2D((photo.shape[1] / 2, photo.shape[0] / 2), degrees[at], zoom[at])
        matrix[:, 2] += [width / 2 - photo.shape[1] / 2, height / 2 - photo.shape[0] / 2]
        matrix[:, 2] += (drift[at] + tremble[at]) * [width, height]
        seen = cv2.warpAffine(photo, matrix, _SIZE_PX, borderMode=cv2.BORDER_CONSTANT, borderValue=wall)
        yield cv2.add(seen, rng.integers(0, 9, seen.shape, np.uint8))
