"""One setting of `bench`, measured in a process of its own: two runtimes in one would share caches and clash.

Reads a Job as JSON from standard input, writes Measured as JSON to standard output.
"""

from __future__ import annotations

import sys
import time
from itertools import islice
from pathlib import Path
from typing import Dict, Iterator, List, Sequence

import cv2
import msgspec

from device.camera import open_camera
from device.cameras.pace import Pace
from device.classifier import Classifier
from device.config import CameraConfig
from device.decision import Decision
from device.errors import CameraError, GarmentcamError
from device.frame import Frame, Result
from device.histograms import Histogram
from device.loop import run
from device.records import StageHistogram

FRAMES = 40
"""Different frames that are shown again and again, taken from the camera before the measuring."""

STAGES = ("preprocess", "inference", "decision", "total")


class Job(msgspec.Struct, frozen=True):
    """What to measure. least_s, least_frames: how long, of tight and of paced each, after the warm-up."""

    model: str
    runtime: str
    threads: int
    camera: CameraConfig
    least_s: float
    least_frames: int
    warmup_s: float


class Measured(msgspec.Struct, frozen=True):
    """runtime: with its version. labels: the best label of each of the FRAMES. tight, paced: stage -> times."""

    runtime: str
    labels: List[str]
    tight: Dict[str, StageHistogram]
    paced: Dict[str, StageHistogram]


def measure(job: Job) -> Measured:
    """Run the device's own loop, first as fast as it goes, then at the camera's rate. Raises GarmentcamError."""
    classifier = Classifier(Path(job.model), job.runtime, job.threads)
    with open_camera(job.camera, paced=False) as camera:
        shown = list(islice(camera, FRAMES))
    if not shown:
        raise CameraError(f"camera.source {job.camera.source}: gave no frame")
    labels: Dict[int, str] = {}
    series = []
    for rate_hz in (None, job.camera.frame_rate_hz):
        sink = _Stopwatch(job, labels, len(shown))
        frames = _again(shown, rate_hz, sink)
        run(frames, classifier, Decision(classifier.card.unsure_below), [sink], warmup_s=job.warmup_s)
        series.append({stage: histogram.to_record() for stage, histogram in sink.stages.items()})
    return Measured(str(classifier.runtime), [labels[index] for index in sorted(labels)], *series)


class _Stopwatch:
    """Sink that counts what is not of the warm-up, until there is enough."""

    def __init__(self, job: Job, labels: Dict[int, str], distinct: int) -> None:
        self.stages = {stage: Histogram() for stage in STAGES}
        self._job = job
        self._labels = labels
        self._distinct = distinct
        self._start_s: float | None = None

    def __call__(self, result: Result) -> None:
        self._labels[result.frame.sequence % self._distinct] = result.prediction.label
        if result.warmup:
            return
        if self._start_s is None:
            self._start_s = time.monotonic()
        for stage, histogram in self.stages.items():
            histogram.add(getattr(result.timings, f"{stage}_ns"))

    @property
    def enough(self) -> bool:
        frames = len(self.stages["total"])
        lasted = self._start_s is not None and time.monotonic() - self._start_s >= self._job.least_s
        return lasted and frames >= self._job.least_frames and len(self._labels) == self._distinct


def _again(shown: Sequence[Frame], rate_hz: float | None, sink: _Stopwatch) -> Iterator[Frame]:
    pace = Pace(rate_hz)
    sequence = -1
    while not sink.enough:
        sequence, captured_ns = pace.wait(sequence + 1)
        yield Frame(shown[sequence % len(shown)].pixels, sequence, captured_ns)


def main() -> int:
    """The child process. Returns the exit status."""
    cv2.setNumThreads(1)  # as `python -m device run` does
    try:
        measured = measure(msgspec.json.decode(sys.stdin.buffer.read(), type=Job))
    except GarmentcamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
