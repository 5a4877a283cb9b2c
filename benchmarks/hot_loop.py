"""What the time of a frame is, step by step: `python -m benchmarks.hot_loop`.

Each step is timed alone and warm, so that they add up to a little less than the whole. The steps are those of the
preprocessing that ships.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence, Tuple

import cv2
import numpy as np
from tabulate import tabulate

from benchmarks.frames import moving_frames
from device import locate
from device.arrays import Array
from device.classifier import Classifier, to_prediction
from device.config import ModelConfig
from device.decision import Decision
from device.errors import GarmentcamError
from device.gray import passing_samples
from device.machine import machine_name
from device.preprocess import both_shrunk, crops_of, farther_square, nearer, passing_square, preprocessing

_TIMES = 1200

Step = Tuple[str, str, float]
"""What, of which frame ("Y", "BGR" or ""), and microseconds."""


def steps(model: Path, times: int = _TIMES) -> Iterator[Step]:
    """The steps of a frame in order, then the whole of them and the floors."""
    classifier = Classifier(model)
    preprocess = preprocessing(classifier.card.preprocessing)
    decision = Decision(classifier.card.unsure_below, 0.3, 0.15)
    shown = moving_frames()
    images = [preprocess(frame.gray) for frame in shown]
    for kind, frames in (("Y", [frame.gray for frame in shown]), ("BGR", [frame.bgr for frame in shown])):
        small = [locate._small(frame) for frame in frames]
        squares = [(frame, farther_square(frame)) for frame in frames]
        far = [passing_square(*square).copy() for square in squares]
        both = [(each, nearer(each)) for each in far]
        search = _us(lambda frame: passing_samples(frame, 2 * locate._SEARCH_PX, locate._SEARCH_PX), frames, times)
        yield "64x32 pixels for the search", kind, search
        yield "to 32x32", kind, _us(locate._small, frames, times) - search
        distances = _us(locate._distances_to_border, small, times)
        yield "how far gray levels are from the borders", kind, distances
        box = _us(locate._garment_box, small, times)
        yield "box around what stands out", kind, box - distances
        yield (
            "square around it: Python",
            kind,
            _us(farther_square, frames, times) - _us(locate._small, frames, times) - box,
        )
        yield "square to 112x112, the edge going on", kind, _us(lambda square: passing_square(*square), squares, times)
        smaller = _us(lambda pair: both_shrunk(*pair), both, times)
        yield "112x112 and 84x84 to 28x28", kind, smaller
        yield "contrast of both", kind, _us(lambda pair: crops_of(*pair), both, times) - smaller
        yield "all of the preprocessing", kind, _us(preprocess, frames, times)
    predictions = [classifier(image) for image in images]
    logits = [classifier.logits(image[np.newaxis])[0].tolist() for image in images]
    invoke = _us(lambda image: classifier._interpreter.invoke(), images, times)
    scores = _us(lambda row: to_prediction(row, classifier.card.output), logits, times)
    yield "floor: bare invoke()", "", invoke
    yield "floor: one read of the gray plane", "", _us(lambda frame: cv2.mean(frame.gray), shown, times)
    classifier._interpreter.invoke = lambda: None  # All of an answer but the network; nothing is asked of it any more.
    yield "tensors in and out", "", _us(classifier, images, times) - scores
    yield "logits to scores", "", scores
    yield "decision", "", _us(lambda prediction: decision(prediction, time.monotonic_ns()), predictions, times)


def _us(step: Callable[[Any], object], given: Sequence[Any] | Array, times: int) -> float:
    """Median microseconds of the second of two calls in a row."""
    taken = []
    for number in range(times):
        one = given[number % len(given)]
        step(one)
        start_ns = time.perf_counter_ns()
        step(one)
        taken.append(time.perf_counter_ns() - start_ns)
    return float(np.median(taken)) / 1000


def main() -> int:
    """The command line. Returns the exit status."""
    cv2.setNumThreads(1)  # as `python -m device run` does
    try:
        found = list(steps(Path(ModelConfig().path)))
    except GarmentcamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{machine_name()}; OpenCV {cv2.__version__}, numpy {np.__version__}; medians of {_TIMES}, back to back\n")
    print(tabulate(found, ["step", "of", "us"], tablefmt="github", floatfmt=".1f"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
