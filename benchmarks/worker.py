"""One measurement in a process of its own: `python -m benchmarks.worker NAME`, arguments as JSON on standard input.

Prints one JSON object. Times are in microseconds.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import cv2
import msgspec
import numpy as np

from benchmarks.frames import moving_frames
from benchmarks.pacing import paced, wake
from device.arrays import Array
from device.classifier import Classifier
from device.config import LogConfig
from device.decision import Decision
from device.frame import Frame
from device.latency_log import LatencyLog
from device.loop import run
from device.preprocess import preprocessing
from device.records import new_header
from device.sinks import AnswerPrinter, LastResult, Progress, Score


def answers(model: str, runtime: str, threads: int, rounds: int) -> Dict[str, Any]:
    """Floor, ours and the recipes, frame by frame in turns, as `in_turns` times them."""
    from benchmarks.recipes import RECIPES

    classifier = Classifier(Path(model), runtime, threads)
    preprocess = preprocessing(classifier.card.preprocessing)
    decision = Decision(classifier.card.unsure_below, 0.3, 0.15)
    interpreter_class = classifier.runtime.module.Interpreter
    shown = moving_frames()
    bare = interpreter_class(model_path=model, num_threads=threads)
    crops = preprocess(shown[0].gray).reshape(-1, *classifier.card.input.shape[1:])
    bare.resize_tensor_input(bare.get_input_details()[0]["index"], crops.shape)  # As many at once as a frame takes.
    bare.allocate_tensors()

    def floor(gray: Array) -> None:
        cv2.mean(gray)
        bare.invoke()

    def ours(pixels: Array) -> str:
        prediction = classifier(preprocess(pixels))
        decision(prediction, time.monotonic_ns())
        return prediction.label

    with tempfile.TemporaryDirectory() as folder:
        recipes = {
            name: make(see, interpreter_class, Path(model), Path(folder)) for name, (see, make) in RECIPES.items()
        }
        cases: Dict[str, Callable[[Any], Any]] = {
            "invoke": lambda frame: bare.invoke(),
            "read": lambda frame: cv2.mean(frame.gray),
            "floor": lambda frame: floor(frame.gray),
            "ours, BGR": lambda frame: ours(frame.bgr),
            "ours, Y": lambda frame: ours(frame.gray),
            **{name: _of_bgr(recipe) for name, recipe in recipes.items()},
        }
        times = in_turns(cases, shown, rounds)
        answering = {name: case for name, case in cases.items() if name not in ("invoke", "read", "floor")}
        labels = {name: [str(case(frame)) for frame in shown] for name, case in answering.items()}
        # How often a recipe's answer is a best one by our classifier, of the very picture that the recipe makes.
        as_meant = {
            name: sum(
                label in best_labels(classifier, see(frame.bgr, Path(folder)))
                for label, frame in zip(labels[name], shown, strict=True)
            )
            for name, (see, _) in RECIPES.items()
        }
    truth = [frame.truth for frame in shown]
    return {
        "runtime": str(classifier.runtime),
        "times": times,
        "labels": labels,
        "as_meant": as_meant,
        "truth": truth,
    }


def best_labels(classifier: Classifier, image: Array) -> List[str]:
    """The labels with the highest logit: of an int8 file's few levels it may be two."""
    logits = classifier.logits(image[np.newaxis])[0]
    return [label for label, logit in zip(classifier.card.labels, logits, strict=True) if logit == logits.max()]


def _of_bgr(recipe: Callable[[Array], str]) -> Callable[[Any], str]:
    return lambda frame: recipe(frame.bgr)


def alone(recipe: str, model: str, rounds: int) -> Dict[str, Any]:
    """A recipe that needs the process for itself: "full_tensorflow" or "mediapipe_classifier"."""
    module = importlib.import_module("benchmarks.recipes")
    answer = getattr(module, recipe)(Path(model))
    shown = moving_frames()
    times = in_turns({recipe: lambda frame: answer(frame.bgr)}, shown, rounds)
    return {"times": times, "labels": [answer(frame.bgr) for frame in shown], "truth": [frame.truth for frame in shown]}


def batch(model: str, runtime: str, images: int) -> Dict[str, Any]:
    """A thousand images at a time, all at once and one by one in turns. Ratios above 1: the batch path is faster."""
    classifier = Classifier(Path(model), runtime)
    few = [preprocessing(classifier.card.preprocessing)(frame.gray) for frame in moving_frames()]
    many = np.stack([few[index % len(few)] for index in range(1000)])
    rng = np.random.default_rng(0)
    one_by_one, at_once, same = [], [], True
    for _ in range(images // 1000):
        some = many[rng.permutation(len(many))]
        start = time.perf_counter()
        single = [classifier(image).label for image in some]
        middle = time.perf_counter()
        whole = classifier.logits(some).argmax(axis=1)
        end = time.perf_counter()
        one_by_one.append((middle - start) * 1000)
        at_once.append((end - middle) * 1000)
        same = same and single == [classifier.card.labels[index] for index in whole]
    return {"one_by_one": one_by_one, "at_once": at_once, "same": same}


def allocations(model: str, runtime: str) -> Dict[str, Any]:
    """Lines of device/ that, in a settled loop, take more than 4 KiB of memory for a moment; seen by tracemalloc.

    A line's figures are in how many of the frames it did, and the most that it took at once, so that several small
    pieces count, too.
    """
    classifier = Classifier(Path(model), runtime)
    names = ("source", "model", "model_sha256", "preprocessing", "runtime", "config_sha256", "machine")
    header = new_header(**dict.fromkeys(names, ""), threads=1, versions={})
    shown = moving_frames()
    found: Dict[str, List[int]] = {}
    device = str(Path(sys.modules["device.loop"].__file__ or "").parent)
    before: List[Tuple[str, int]] = []

    def each_line(frame: Any, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(device):
            return None
        peak = tracemalloc.get_traced_memory()[1]
        if before and peak - before[-1][1] > 4096:
            name, least = before[-1]
            frames_before, most = found.get(name, [0, 0])
            found[name] = [frames_before + 1, max(most, peak - least)]
        name = f"{frame.f_code.co_filename[len(device) + 1 :]}:{frame.f_lineno}"
        tracemalloc.reset_peak()
        before[:] = [(name, tracemalloc.get_traced_memory()[0])]
        return each_line

    def frames() -> Iterator[Frame]:
        for number in range(700):
            if number == 400:
                sys.settrace(each_line)
            if number == 600:  # Tracing makes all of it slower: by now the histograms know these times, too.
                found.clear()
            if number == 699:
                sys.settrace(None)
            picture = shown[number % len(shown)]
            yield Frame(picture.bgr if number % 2 else picture.gray, number, time.monotonic_ns())

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = stack.enter_context(LatencyLog(folder, header, LogConfig(keep_free_mb=0, flush_s=600)))
        progress = stack.enter_context(Progress(0))
        sinks = (log, AnswerPrinter(lambda line: None), progress, LastResult(), Score())
        tracemalloc.start()
        # The loop's own frame was there before the tracing: only what it calls is seen, which is what allocates.
        run(frames(), classifier, Decision(0.3, 0.3, 0.15), sinks)
        tracemalloc.stop()
    return {"frames": 99, "lines": found}


def in_turns(cases: Dict[str, Callable[[Any], Any]], shown: Sequence[Any], rounds: int) -> Dict[str, List[float]]:
    """Microseconds of each case, for each frame of each round: case after case, in another order each time.

    The last of five calls counts: what a case leaves behind (threads that still spin, a file that is being written,
    others' caches) must not be charged to the next one.
    """
    times: Dict[str, List[float]] = {name: [] for name in cases}
    order = list(cases.items())
    for turn, frame in zip(itertools.count(), itertools.chain.from_iterable(itertools.repeat(shown, rounds))):
        shift = turn % len(order)
        for name, case in order[shift:] + order[:shift]:
            for _ in range(4):
                case(frame)
            start_ns = time.perf_counter_ns()
            case(frame)
            times[name].append((time.perf_counter_ns() - start_ns) / 1000)
    return times


WORK: Dict[str, Callable[..., Dict[str, Any]]] = {
    work.__name__: work for work in (answers, alone, paced, wake, batch, allocations)
}


def main() -> int:
    """The child process. Returns the exit status."""
    cv2.setNumThreads(1)  # as `python -m device run` does
    arguments = msgspec.json.decode(sys.stdin.buffer.read())
    sys.stdout.buffer.write(msgspec.json.encode(WORK[sys.argv[1]](**arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
