"""The ratios that have targets, each runtime's, and what they reach."""

from __future__ import annotations

import math
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence

import numpy as np
from tabulate import tabulate

from benchmarks.recipes import LEAST_CODE, RECIPES
from benchmarks.suite import spread
from benchmarks.zoo import datasets, dominates, points
from device.arrays import Array

FRAME_US = 33_333.0
RECIPE_NAMES = {
    **{name: name for name in RECIPES},
    "full_tensorflow": "full TensorFlow",
    "mediapipe_classifier": "MediaPipe",
}


class Row(NamedTuple):
    """One ratio. must, aim: what it is to be at most, or at least where `at_least`. values: a ratio each comparison.

    runtime: "" where none of them has a part in it. note: what else there is to know of this runtime's.
    """

    what: str
    runtime: str
    values: Sequence[float] | Array
    must: float
    aim: float
    unit: str = "x"
    at_least: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        """What the median reaches: "aim", "must", or "short" of both."""
        middle = spread(self.values)[0]
        if self.at_least:
            return "aim" if middle >= self.aim else "must" if middle >= self.must else "short"
        return "aim" if middle <= self.aim else "must" if middle <= self.must else "short"


def rows(measured: Dict[str, Any]) -> List[Row]:
    """Every target of the benchmark, for each runtime."""
    found: List[Row] = []
    for runtime in measured["runtimes"]:
        found += _rows(measured["rounds"], measured["once"], runtime)
        found += _zoo_rows(measured, runtime)
    training = measured["once"]["training"]
    if "error" not in training:
        ratio = training["recipe"] / ((training["fit_before"] + training["fit_after"]) / 2)
        found.append(Row("training, images a second, of plain `fit`'s", "", [ratio], 0.7, 1.0, at_least=True))
    return found


def _zoo_rows(measured: Dict[str, Any], runtime: str) -> Iterator[Row]:
    """For each data set that what ships was measured on: how many others leave it no reason to ship."""
    for dataset in datasets(measured):
        found = points(measured, dataset, runtime)
        ours = [point for point in found if point.model == measured["model"]]
        if ours and len(found) > 1:
            better = [point for point in found if dominates(point, ours[0])]
            names = ", ".join(measured["cards"][point.model]["name"] for point in better)
            yield Row(
                f"models no worse than what ships in accuracy on {dataset}, size and time",
                runtime,
                [float(len(better))],
                math.inf,
                0,
                f"of {len(found) - 1}",
                note=names,
            )


def _rows(rounds: Dict[str, Any], once: Dict[str, Any], runtime: str) -> Iterator[Row]:
    labels = rounds[f"answers {runtime}"][0]["labels"]
    same = sum(map(str.__eq__, labels["ours, Y"], labels["ours, BGR"])) / len(labels["ours, Y"])
    yield Row("same label from BGR and from Y", runtime, [100 * same], 95, 100, "%", at_least=True)
    answers = [found["times"] for found in rounds[f"answers {runtime}"]]
    for kind in ("Y", "BGR"):
        over = [np.divide(times[f"ours, {kind}"], times["floor"]) for times in answers]
        yield Row(
            f"frame to decision from {kind}, over bare invoke + one read", runtime, np.concatenate(over), 2.0, 1.3
        )
    own = np.concatenate([found["own"] for found in rounds[f"moving {runtime}"]]) / FRAME_US
    name, faster = fastest_recipe(rounds, runtime)
    what = "frame to decision from Y, times faster than the fastest recipe"
    yield Row(what, runtime, faster, 4.0, 10.0, at_least=True, note=name)
    yield Row("decision, log, histograms, sinks: share of a 33 ms frame", runtime, own * 100, 1.0, 0.3, "%")
    paced = [found["total"] for found in rounds[f"moving {runtime}"]]
    tails = [float(np.percentile(total, 99) / np.percentile(total, 50)) for total in paced]
    yield Row("p99 over p50 of the time to the answer, paced", runtime, tails, 3.0, 1.5)
    start, memory = once[f"start {runtime}"], once[f"memory {runtime}"]
    yield Row(
        "process start to first answer, over imports and load",
        runtime,
        np.divide(start["ours"], start["floor"]),
        1.5,
        1.15,
    )
    yield Row("resident memory, over that of the imports", runtime, [memory["ours"] / memory["floor"]], 1.3, 1.1)
    pairs = zip(rounds[f"resting {runtime}"], rounds[f"still {runtime}"], strict=True)
    rest = [100 * resting["cpu_s_an_hour"] / still["cpu_s_an_hour"] for resting, still in pairs]
    yield Row("processor time while it rests, of that when it does not", runtime, rest, 30.0, 10.0, "%")
    slowest_ms = max(once[f"wake {runtime}"]["ms"])
    yield Row("slowest waking, from a motion to its answer", runtime, [slowest_ms], 200, 200, "ms")
    batch = once[f"batch {runtime}"]
    ratio = np.divide(batch["one_by_one"], batch["at_once"])
    yield Row("10,000 images: batches, times faster than one by one", runtime, ratio, 1.0, 1.0, at_least=True)
    taken = once[f"allocations {runtime}"]
    often = sum(count > taken["frames"] / 2 for count, _ in taken["lines"].values())
    yield Row("lines that take more than 4 KiB of memory for most frames", runtime, [float(often)], 0, 0, "")


def fastest_recipe(rounds: Dict[str, Any], runtime: str) -> tuple[str, Array]:
    """The copied recipe with the smallest median, and how many times faster than it we are, frame by frame."""
    ours: List[float] = []
    theirs: Dict[str, List[float]] = {}
    for number, found in enumerate(rounds[f"answers {runtime}"]):
        ours += found["times"]["ours, Y"]
        for name in RECIPES:
            if name != LEAST_CODE:
                theirs.setdefault(name, []).extend(found["times"][name])
        for name in ("full_tensorflow", "mediapipe_classifier"):
            other = rounds.get(name, [])
            if number < len(other) and "times" in other[number]:
                theirs.setdefault(name, []).extend(other[number]["times"][name])
    best = min(theirs, key=lambda name: float(np.median(theirs[name])))
    return RECIPE_NAMES[best], np.divide(theirs[best], ours)


READING = (
    "Medians, in brackets the 10th and 90th percentile; in bold which target that reaches, `short` where it is neither."
)


def target_table(measured: Dict[str, Any]) -> str:
    """Every target in a line, with each runtime's ratio and what that reaches, as Markdown."""
    runtimes = measured["runtimes"]
    lines: Dict[str, Dict[str, Row]] = {}
    for row in rows(measured):
        lines.setdefault(row.what, {})[row.runtime or runtimes[0]] = row
    table = []
    for what, found in lines.items():
        one = next(iter(found.values()))
        cells = [_cell(found[runtime]) if runtime in found else "" for runtime in runtimes]
        table.append([what, *cells, _target(one, one.must), _target(one, one.aim)])
    return str(tabulate(table, ["what", *runtimes, "must", "aim"], tablefmt="github", disable_numparse=True))


def _cell(row: Row) -> str:
    middle, low, high = spread(row.values)
    counted = row.unit in _COUNTS or row.unit.startswith("of ")
    text = f"{middle:.0f}" if counted else f"{middle:.2f}"
    text = f"{text} {row.unit}".replace(" x", "").rstrip()
    if len(row.values) > 1:
        text += f" ({low:.2f} to {high:.2f})"
    return f"{text}{', ' if row.note else ''}{row.note} **{row.verdict}**"


_COUNTS = ("", "ms")


def _target(row: Row, value: float) -> str:
    if math.isinf(value):
        return "drawn"
    unit = "" if row.unit == "x" or row.unit.startswith("of ") else f" {row.unit}"
    return f"{'≥' if row.at_least else '≤'} {value:g}{unit}".rstrip()
