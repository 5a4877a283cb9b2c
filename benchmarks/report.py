"""What was measured -> reports/bench.md."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Sequence, Tuple

import numpy as np
from tabulate import tabulate

from benchmarks.suite import spread
from benchmarks.targets import READING, RECIPE_NAMES, target_table
from benchmarks.zoo import datasets


def render(measured: Dict[str, Any], about: str) -> str:
    """reports/bench.md."""
    runtimes = measured["runtimes"]
    lines = ["# Benchmark", "", about, "", f"Ratios are of times taken in turns. {READING}", ""]
    lines += [target_table(measured), ""]
    for runtime in runtimes:
        lines += [f"## A frame, back to back, {measured['rounds'][f'answers {runtime}'][0]['runtime']}", ""]
        lines += [tabulate(list(_frames(measured["rounds"], runtime)), _FRAME_NAMES, tablefmt="github"), ""]
    lines += ["## At 30 frames/s", ""]
    lines += [tabulate(list(_paced(measured["rounds"], runtimes)), _PACED_NAMES, tablefmt="github"), ""]
    lines += ["## Models, runtimes, threads", "", f"Accuracies, by the cards, on: {', '.join(datasets(measured))}.", ""]
    lines += [tabulate(list(_settings(measured)), _SETTING_NAMES, tablefmt="github"), ""]
    lines += _remarks(measured)
    return "\n".join(lines) + "\n"


_FRAME_NAMES = ["what", "p50, us", "p10 to p90", "as meant", "same label as ours", "right of 40"]
_PACED_NAMES = [
    "runtime",
    "answer p50, us",
    "p99, us",
    "invoke + read p50, us",
    "own p50, us",
    "CPU s/h",
    "still",
    "resting",
]
_SETTING_NAMES = [
    "model",
    "kB",
    "accuracies",
    "runtime",
    "threads",
    "invoke paced, us",
    "invoke back to back, us",
    "answer paced, us",
    "agree",
]


def _frames(rounds: Dict[str, Any], runtime: str) -> Iterator[List[Any]]:
    found = rounds[f"answers {runtime}"]
    names = [*found[0]["times"], *(name for name in ("full_tensorflow", "mediapipe_classifier") if name in rounds)]
    for name in names:
        source = found if name in found[0]["times"] else rounds[name]
        if "error" in source[0]:
            yield [RECIPE_NAMES[name], source[0]["error"], "", "", "", ""]
            continue
        middle, low, high = spread([time for one in source for time in one["times"][name]])
        labels: Sequence[str] | None = source[0]["labels"] if source is not found else found[0]["labels"].get(name)
        ours, truth = found[0]["labels"]["ours, Y"], found[0]["truth"]
        same = sum(map(str.__eq__, labels, ours)) if labels else ""
        right = sum(map(str.__eq__, labels, truth)) if labels else ""
        meant = found[0]["as_meant"].get(name, "")
        yield [RECIPE_NAMES.get(name, name), f"{middle:,.0f}", f"{low:,.0f} to {high:,.0f}", meant, same, right]


def _paced(rounds: Dict[str, Any], runtimes: Sequence[str]) -> Iterator[List[Any]]:
    for runtime in runtimes:
        moving = rounds[f"moving {runtime}"]
        total, floor, own = (np.concatenate([one[key] for one in moving]) for key in ("total", "floor", "own"))
        cells = [np.percentile(total, 50), np.percentile(total, 99), np.median(floor), np.median(own)]
        hours = [np.median([one["cpu_s_an_hour"] for one in rounds[f"{what} {runtime}"]]) for what in _PACED_KINDS]
        yield [runtime, *(f"{cell:,.0f}" for cell in [*cells, *hours])]


_PACED_KINDS = ("moving", "still", "resting")


def threads_table(measured: Dict[str, Any]) -> str:
    """What ships by file, runtime and number of threads: an inference at 30 frames/s and, in brackets, back to back."""
    ships = measured["cards"][measured["model"]]["model"]
    found: Dict[Tuple[str, str], Dict[int, str]] = {}
    for row in measured["settings"]["rows"]:
        card = measured["cards"][row["model"]]
        if card["model"] == ships and not row["error"]:
            paced, tight = (row[pace]["inference"]["p50_us"] for pace in ("paced", "tight"))
            found.setdefault((card["name"], row["runtime"]), {})[row["threads"]] = f"{paced:,.0f} ({tight:,.0f})"
    numbers = sorted({threads for cells in found.values() for threads in cells})
    names = ["inference, us", "runtime", *(f"{threads} thread{'s' * (threads > 1)}" for threads in numbers)]
    rows = [[*key, *(cells.get(threads, "") for threads in numbers)] for key, cells in found.items()]
    return tabulate(
        rows, names, tablefmt="github", disable_numparse=True, colalign=("left", "left", *["right"] * len(numbers))
    )


def _settings(measured: Dict[str, Any]) -> Iterator[List[Any]]:
    for row in measured["settings"]["rows"]:
        card = measured["cards"][row["model"]]
        accuracies = ", ".join(f"{100 * value:.1f} %" for _, value in sorted(card["accuracies"].items()))
        about = [card["name"], f"{card['bytes'] / 1000:.0f}", accuracies]
        if row["error"]:
            yield [*about, row["runtime"], row["threads"], row["error"], "", "", ""]
            continue
        cells = (row["paced"]["inference"], row["tight"]["inference"], row["paced"]["total"])
        texts = [f"{cell['p50_us']:,.0f}" for cell in cells]
        yield [*about, row["runtime"], row["threads"], *texts, f"{row['agreement']:.0%}"]


def _remarks(measured: Dict[str, Any]) -> List[str]:
    lines = ["## Remarks", ""]
    for runtime in measured["runtimes"]:
        batch, memory = measured["once"][f"batch {runtime}"], measured["once"][f"memory {runtime}"]
        start, taken = measured["once"][f"start {runtime}"], measured["once"][f"allocations {runtime}"]["lines"]
        seconds, megabytes, ms = (
            [float(np.median(pair[key])) / unit for key in keys]
            for pair, keys, unit in (
                (start, ("ours", "floor"), 1),
                (memory, ("ours", "floor"), 1e6),
                (batch, ("one_by_one", "at_once"), 1),
            )
        )
        where = ", ".join(f"{line} ({count} of 99 frames, {size} B)" for line, (count, size) in taken.items())
        lines.append(
            f"- {runtime}: first answer after {seconds[0]:.2f} s (floor {seconds[1]:.2f} s); {megabytes[0]:.0f} MB "
            f"(floor {megabytes[1]:.0f} MB); 1000 images one by one {ms[0]:.0f} ms, in batches {ms[1]:.0f} ms, "
            f"{'the same labels' if batch['same'] else 'OTHER LABELS'}; lines above 4 KiB: "
            f"{where or 'none'}."
        )
    lines.append("- The recipes squash the whole frame; ours looks for the garment first. All use the shipped model.")
    lines.append(
        "- `floor` is one read of the gray plane (`cv2.mean`), then a bare `invoke()` of both crops of a frame, as "
        "ours, timed as one; the recipes ask of one image."
    )
    lines.append(
        "- `as meant`: on so many of the 40 frames the recipe's answer is a best one by our classifier of its 28x28."
    )
    lines.append("- CPU s/h is that of the loop on frames that are ready: what a camera's driver takes comes on top.")
    training = measured["once"]["training"]
    lines.append(
        f"- Training: {training['error']}."
        if "error" in training
        else f"- Training, images a second: recipe {training['recipe']:,.0f}; plain `fit` "
        f"{training['fit_before']:,.0f} before it and {training['fit_after']:,.0f} after it."
    )
    return lines
