"""One file that holds a training: all its variables and its history. Whole or not there, also after kill -9."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

History = list[dict[str, float]]


def save(path: Path, variables: Sequence[Any], history: History) -> None:
    """Write the variables' values and the history: beside, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        arrays = {f"v{number:04d}": np.asarray(variable) for number, variable in enumerate(variables)}
        np.savez(file, history=np.array(json.dumps(history)), **arrays)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load(path: Path, variables: Sequence[Any]) -> History:
    """Give the variables their saved values; returns the history that `save` was given, [] without a checkpoint."""
    if not path.exists():
        return []
    with np.load(path) as saved:
        for number, variable in enumerate(variables):
            variable.assign(saved[f"v{number:04d}"])
    return history(path)


def history(path: Path) -> History:
    """The history alone."""
    with np.load(path) as saved:
        entries: History = json.loads(str(saved["history"]))
    return entries
