"""The models that are compared: what their cards say, where each stands, and which of them beat what ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

from device.model_card import card_path, read_card

_TWINS = {"validated", "halves"}
"""Folders in which `make train` and `make halves` keep them."""


class Point(NamedTuple):
    """A model in a runtime, one thread. model: its path. accuracy: 0..1, by its card. invoke_us: median, paced."""

    model: str
    runtime: str
    accuracy: float
    invoke_us: float
    size_bytes: int


def find_zoo(folder: Path) -> List[Path]:
    """The models under `folder` that have their card beside them, in order: what the training left there.

    Without the twins, which are what ships but for the people they learnt from.
    """
    found = (path for path in folder.rglob("*.tflite") if card_path(path).exists())
    return sorted(path for path in found if not _TWINS & {*path.relative_to(folder).parts})


def card_facts(model: Path) -> Dict[str, Any]:
    """Name with the kind of file, the model's alone, bytes, and the accuracies by data set, as the card says."""
    card = read_card(card_path(model))
    accuracies = {entry.dataset: entry.value for entry in card.measurements if entry.metric == "accuracy"}
    kind = "float32" if card.input.dtype == "float32" else "int8"
    # The article's float16 and dynamic-range files take float32, too: their own names tell them apart.
    name = model.stem if model.stem.startswith(f"{card.name}-") else f"{card.name}-{kind}"
    return {"name": name, "model": card.name, "bytes": card.size_bytes, "accuracies": accuracies}


def datasets(measured: Dict[str, Any]) -> List[str]:
    """The data sets on which any of the models was measured."""
    return sorted({dataset for card in measured["cards"].values() for dataset in card["accuracies"]})


def points(measured: Dict[str, Any], dataset: str, runtime: str) -> List[Point]:
    """Of the models that were measured on this data set, and ran in this runtime."""
    found = []
    for row in measured["settings"]["rows"]:
        card = measured["cards"][row["model"]]
        usable = not row["error"] and row["threads"] == 1 and row["runtime"].split()[0] == runtime
        if usable and dataset in card["accuracies"]:
            invoke_us = row["paced"]["inference"]["p50_us"]
            found.append(Point(row["model"], runtime, card["accuracies"][dataset], invoke_us, card["bytes"]))
    return found


def dominates(one: Point, other: Point) -> bool:
    """At least as right, as fast and as small, and better in one of them."""
    mine = (one.accuracy, -one.invoke_us, -one.size_bytes)
    theirs = (other.accuracy, -other.invoke_us, -other.size_bytes)
    return mine != theirs and all(a >= b for a, b in zip(mine, theirs, strict=True))


def front(found: Sequence[Point]) -> List[Point]:
    """Those that no other is as right as in as little time, from fast to right; the file's size left aside."""
    best: List[Point] = []
    for point in sorted(found, key=lambda point: (point.invoke_us, -point.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best
