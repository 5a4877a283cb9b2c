"""The device loop: one frame at a time, from the camera to the sinks."""

from __future__ import annotations

import time
from typing import Callable, Iterable, Sequence

from device.classifier import Classifier
from device.decision import Decision
from device.frame import Frame, Result, Timings
from device.preprocess import preprocessing
from device.sinks import Sink


def run(
    frames: Iterable[Frame],
    classifier: Classifier,
    decision: Decision,
    sinks: Sequence[Sink],
    *,
    gate: Callable[[Frame], bool] | None = None,
    warmup_s: float = 0.0,
    clock: Callable[[], int] = time.monotonic_ns,
) -> int:
    """Answer every frame until the iterable ends. Returns how many frames there were.

    gate: tells whether a frame is to be answered, and counts those that are not, which are not `skipped`; what it takes
    is part of `preprocess`. warmup_s: results of the first so many seconds, and the first result in any case, are
    tagged `warmup`. clock: monotonic nanoseconds.
    """
    preprocess = preprocessing(classifier.card.preprocessing)
    expected_sequence: int | None = None
    warm_ns: int | None = None
    sinks_ns: int | None = None
    taken = skipped = 0
    asked_ns = clock()
    for frame in frames:
        got_ns = clock()
        taken += 1
        skipped += 0 if expected_sequence is None else max(0, frame.sequence - expected_sequence)
        expected_sequence = frame.sequence + 1
        if gate is not None and not gate(frame):
            expected_sequence = None  # It sleeps, and counts what the camera has meanwhile.
            asked_ns = clock()
            continue
        image = preprocess(frame.pixels)
        preprocessed_ns = clock()
        prediction = classifier(image)
        inferred_ns = clock()
        answer = decision(prediction, frame.captured_ns)
        answered_ns = clock()

        first = warm_ns is None
        warm_ns = got_ns + round(warmup_s * 1e9) if warm_ns is None else warm_ns
        result = Result(
            frame=frame,
            image=image,
            prediction=prediction,
            decision=answer,
            timings=Timings(
                wait_ns=got_ns - asked_ns if frame.dequeued_ns is None else max(0, frame.dequeued_ns - asked_ns),
                dequeue_ns=None if frame.dequeued_ns is None else max(0, got_ns - frame.dequeued_ns),
                preprocess_ns=preprocessed_ns - got_ns,
                inference_ns=inferred_ns - preprocessed_ns,
                decision_ns=answered_ns - inferred_ns,
                total_ns=answered_ns - got_ns,
                age_ns=_age_ns(frame, answered_ns),
                age_from="arrival" if frame.exposed_ns is None else "exposure",
                sinks_before_ns=sinks_ns,
            ),
            skipped=skipped,
            warmup=first or got_ns < warm_ns,
        )
        skipped = 0
        for sink in sinks:
            sink(result)
        asked_ns = clock()
        sinks_ns = asked_ns - answered_ns
    return taken


def _age_ns(frame: Frame, now_ns: int) -> int | None:
    """Nanoseconds since the frame was exposed, or came in; None when its time lies ahead of our clock."""
    since_ns = frame.captured_ns if frame.exposed_ns is None else frame.exposed_ns
    return now_ns - since_ns if now_ns >= since_ns else None
