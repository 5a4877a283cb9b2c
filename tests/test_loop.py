"""The loop: exact stage times, skips, warm-up; a delay in a stage shows in that stage, down to the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from conftest import SHIPPED_MODEL
from device.arrays import Array
from device.classifier import Classifier
from device.decision import Decision
from device.frame import Frame, Prediction, Result
from device.latency_log import LatencyLog
from device.latency_read import read_run
from device.loop import run
from device.model_card import load_model
from device.preprocess import PREPROCESSINGS
from device.report import summarize
from device.sinks import AnswerPrinter, Score
from latency_logs import MS, PLENTY, Clock, header


def run_frames(frames: list[Frame], ticks: list[int], warmup_s: float = 0.0) -> list[Result]:
    results: list[Result] = []
    clock = iter(ticks)
    run(
        frames, Classifier(SHIPPED_MODEL), Decision(0.3), [results.append], warmup_s=warmup_s, clock=lambda: next(clock)
    )
    return results


def frames(*sequences: int) -> list[Frame]:
    return [Frame(np.full((60, 80, 3), 90, np.uint8), sequence, sequence * 10) for sequence in sequences]


def test_each_stage_gets_its_own_time():
    """asked, got, preprocessed, inferred, answered, and again."""
    ticks = [0, 7, 18, 31, 33, 1000, 1100, 1101, 1103, 1107, 2000]
    first, second = (result.timings for result in run_frames(frames(0, 1), ticks))
    assert (first.wait_ns, first.preprocess_ns, first.inference_ns, first.decision_ns) == (7, 11, 13, 2)
    assert (first.total_ns, first.sinks_before_ns, first.dequeue_ns) == (26, None, None)
    assert (second.wait_ns, second.preprocess_ns, second.inference_ns, second.decision_ns) == (100, 1, 2, 4)
    assert (second.total_ns, second.sinks_before_ns) == (7, 967)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({}, (7, None, 33, "arrival")),
        ({"exposed_ns": -20}, (7, None, 53, "exposure")),
        ({"exposed_ns": 40}, (7, None, None, "exposure")),  # ahead of our clock: unknown, and no negative age
        ({"dequeued_ns": 5}, (5, 2, 33, "arrival")),
        ({"dequeued_ns": -3}, (0, 10, 33, "arrival")),  # a reader had it before it was asked for
    ],
)
def test_what_the_camera_tells_is_used_and_what_it_does_not_is_none(
    times: dict[str, int], expected: tuple[object, ...]
):
    frame = Frame(np.full((60, 80, 3), 90, np.uint8), 0, 0, **times)
    timings = run_frames([frame], [0, 7, 18, 31, 33, 1000])[0].timings
    assert (timings.wait_ns, timings.dequeue_ns, timings.age_ns, timings.age_from) == expected


STAGE_DELAYS = {
    "wait": 3 * MS,
    "dequeue": 2 * MS,
    "preprocess": 4 * MS,
    "inference": 5 * MS,
    "decision": MS,
    "sinks": MS,
}


@pytest.mark.parametrize("slowed", STAGE_DELAYS)
def test_a_delay_is_attributed_to_the_stage_that_has_it(slowed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Time passes only inside the stages; each takes its usual time, one of them 20 ms more."""
    clock = Clock(10**12)
    delays = {**STAGE_DELAYS, slowed: STAGE_DELAYS[slowed] + 20 * MS}
    exposure_ns = 8 * MS

    def camera() -> Iterator[Frame]:
        for sequence in range(300):
            clock.sleep(delays["wait"])
            dequeued_ns = clock()
            clock.sleep(delays["dequeue"])
            yield Frame(
                np.zeros((28, 28), np.uint8),
                sequence,
                dequeued_ns,
                exposed_ns=dequeued_ns - exposure_ns,
                dequeued_ns=dequeued_ns,
            )

    def preprocess(pixels: Array) -> Array:
        clock.sleep(delays["preprocess"])
        return pixels

    class SlowClassifier:
        card = msgspec.structs.replace(load_model(SHIPPED_MODEL)[1], preprocessing="slow-1")

        def __call__(self, image: Array) -> Prediction:
            clock.sleep(delays["inference"])
            return Prediction((0.1,) * 10, 1.0)

    def decision(prediction: Prediction, captured_ns: int) -> str:
        clock.sleep(delays["decision"])
        return "Bag"

    monkeypatch.setitem(PREPROCESSINGS, "slow-1", preprocess)
    with LatencyLog(tmp_path, header(start_ns=clock()), PLENTY, clock=clock) as log:
        sinks = [log, lambda result: clock.sleep(delays["sinks"])]
        run(camera(), SlowClassifier(), decision, sinks, clock=clock)

    stages = summarize(read_run(log.path))["stages"]
    expected = {
        **delays,
        "total": delays["preprocess"] + delays["inference"] + delays["decision"],
        "age from exposure": exposure_ns + sum(delays[s] for s in ("dequeue", "preprocess", "inference", "decision")),
    }
    assert set(stages) == set(expected)
    for stage, delay_ns in expected.items():
        for percentile in ("p50_us", "p99_us", "max_us"):
            assert stages[stage][percentile] == pytest.approx(delay_ns / 1000, rel=0.05), (stage, percentile)


def test_frames_that_the_loop_missed_are_counted():
    results = run_frames(frames(3, 4, 9), list(range(100)))
    assert [result.skipped for result in results] == [0, 0, 4]


def test_warm_up_is_tagged_by_time_and_always_on_the_first_frame():
    second = 1_000_000_000
    ticks = [0]
    for i in range(4):
        ticks += [i * second, i * second + 1, i * second + 2, i * second + 3, i * second + 4]
    results = run_frames(frames(0, 1, 2, 3), ticks, warmup_s=1.5)
    assert [result.warmup for result in results] == [True, True, False, False]
    assert [result.warmup for result in run_frames(frames(0, 1), ticks)] == [True, False]


def test_answers_are_printed_only_when_they_change():
    lines: list[str] = []
    printer = AnswerPrinter(lines.append)
    results = run_frames(frames(0, 1, 2), list(range(100)))
    for result in results:
        printer(result)
    assert len(lines) == len({result.decision for result in results})


def test_the_score_counts_frames_and_garments():
    result = run_frames(frames(0), list(range(100)))[0]
    right, wrong = result.prediction.label, "Bag" if result.prediction.label != "Bag" else "Coat"
    score = Score()
    for sequence, truth in enumerate([right, right, wrong]):
        shown = Result(
            Frame(result.frame.pixels, sequence, 0, truth=truth),
            result.image,
            result.prediction,
            right,
            result.timings,
            0,
            False,
        )
        score(shown)
    assert (score.frames, score.right_frames, score.garments, score.right_garments) == (3, 2, 2, 1)
