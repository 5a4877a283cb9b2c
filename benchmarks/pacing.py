"""Measurements at the camera's pace: the whole loop, its floor, and how soon a resting board wakes."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import cv2

from benchmarks.frames import moving_frames, still_frames
from device.arrays import Array
from device.cameras.pace import Pace
from device.classifier import Classifier
from device.config import LogConfig, MotionConfig
from device.decision import Decision
from device.frame import Frame, Result
from device.latency_log import LatencyLog
from device.latency_read import read_run
from device.loop import run
from device.motion import MotionGate
from device.records import new_header
from device.sinks import AnswerPrinter, LastResult, Progress, Score
from device.systemd import ServiceNotifier

RATE_HZ = 30.0
_WARMUP_S = 0.5
_FRAMES_A_SCENE = 31
"""No multiple of what the gate looks at, so that motions begin at all of its moments."""


def paced(model: str, runtime: str, seconds: float, still: bool, rest: bool) -> Dict[str, Any]:
    """The loop of `run` with its sinks and its log, at the camera's rate on ready frames: times and processor time."""
    classifier = Classifier(Path(model), runtime)
    decision = Decision(classifier.card.unsure_below, 0.3, 0.15)
    pictures = still_frames() if still else [frame.gray for frame in moving_frames()]
    names = ("source", "model", "model_sha256", "preprocessing", "runtime", "config_sha256", "machine")
    header = new_header(**dict.fromkeys(names, ""), threads=1, versions={})
    started: List[float] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = LogConfig(keep_free_mb=0, warmup_s=_WARMUP_S)
        with LatencyLog(Path(folder), header, settings) as log, Progress(0) as progress:
            sinks = (log, AnswerPrinter(lambda line: None), progress, LastResult(), Score(), ServiceNotifier({}))
            gate = MotionGate(MotionConfig(rest=True, still_s=_WARMUP_S), log.idle) if rest else None
            frames = _at_camera_rate(pictures, seconds, started)
            run(frames, classifier, decision, sinks, gate=gate, warmup_s=_WARMUP_S)
            used_s = time.process_time() - started[0]
        found = read_run(log.path)
    own_ns = [
        frame.decision_ns + frame.sinks_ns for frame in found.frames if not frame.warmup and frame.sinks_ns is not None
    ]
    total_ns = [frame.total_ns for frame in found.frames if not frame.warmup]
    floor = [] if still else _paced_floor(classifier, model, pictures, min(seconds, 3.0))
    return {
        "cpu_s_an_hour": used_s / seconds * 3600,
        "total": [ns / 1000 for ns in total_ns],
        "own": [ns / 1000 for ns in own_ns],
        "floor": floor,
    }


def _at_camera_rate(pictures: Sequence[Array], seconds: float, started: List[float]) -> Iterator[Frame]:
    """`started` gets the processor time at which the warm-up was over."""
    pace = Pace(RATE_HZ)
    sequence = -1
    warm = round(2 * _WARMUP_S * RATE_HZ)
    last = warm + round(seconds * RATE_HZ)
    while sequence < last:
        sequence, captured_ns = pace.wait(sequence + 1)
        if sequence >= warm and not started:
            started.append(time.process_time())
        yield Frame(pictures[sequence % len(pictures)], sequence, captured_ns)


def _paced_floor(classifier: Classifier, model: str, pictures: Sequence[Array], seconds: float) -> List[float]:
    bare = classifier.runtime.module.Interpreter(model_path=model, num_threads=1)
    bare.allocate_tensors()
    times = []
    for frame in _at_camera_rate(pictures, seconds, []):
        start_ns = time.perf_counter_ns()
        cv2.mean(frame.pixels)
        bare.invoke()
        times.append((time.perf_counter_ns() - start_ns) / 1000)
    return times[round(2 * _WARMUP_S * RATE_HZ) :]


def wake(model: str, runtime: str, times: int) -> Dict[str, Any]:
    """Milliseconds from the capture of the first frame that shows a motion, at rest, until it is answered."""
    classifier = Classifier(Path(model), runtime)
    shown = moving_frames()
    scenes = [shown[number].gray for number in (0, 5)]
    waited_ms: Dict[int, float] = {}

    def frames() -> Iterator[Frame]:
        pace = Pace(RATE_HZ)
        sequence = -1
        while sequence < (times + 1) * _FRAMES_A_SCENE:
            sequence, captured_ns = pace.wait(sequence + 1)
            yield Frame(scenes[sequence // _FRAMES_A_SCENE % 2], sequence, captured_ns)

    def first_answer(result: Result) -> None:
        change, since = divmod(result.frame.sequence, _FRAMES_A_SCENE)
        began_ns = result.frame.captured_ns - since * 1e9 / RATE_HZ
        waited_ms.setdefault(change, (time.monotonic_ns() - began_ns) / 1e6)

    gate = MotionGate(MotionConfig(rest=True, still_s=0.2))
    run(frames(), classifier, Decision(classifier.card.unsure_below), [first_answer], gate=gate)
    return {"ms": [waited_ms[change] for change in range(1, times + 1)]}
