"""The loop: exact stage times from a scripted clock, skips, warm-up."""

from __future__ import annotations

import numpy as np

from conftest import SHIPPED_MODEL
from device.classifier import Classifier
from device.decision import Decision
from device.frame import Frame, Result
from device.loop import run
from device.sinks import AnswerPrinter, Score


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
    first, second = run_frames(frames(0, 1), ticks)
    assert (first.timings.wait_ns, first.timings.preprocess_ns, first.timings.inference_ns) == (7, 11, 13)
    assert first.timings.total_ns == 26
    assert (second.timings.wait_ns, second.timings.preprocess_ns, second.timings.inference_ns) == (100, 1, 2)
    assert second.timings.total_ns == 7


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
