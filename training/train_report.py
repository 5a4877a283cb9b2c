"""reports/train-*.md: what `make train` made, with the curves of teacher and student."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from pathlib import Path

from tabulate import tabulate

from device.machine import machine_name
from training import checkpoint, plots


def write_report(path: Path, figures: Mapping[str, float], *, teacher: Path, student: Path) -> Path:
    """Write `path` and its picture. teacher, student: their checkpoints, for history and times."""
    histories = {"teacher": checkpoint.history(teacher), "student": checkpoint.history(student)}
    minutes = {name: sum(entry["seconds"] for entry in history) / 60 for name, history in histories.items()}
    picture = path.with_suffix(".png")
    plots.histories(picture, histories)
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    rows = [[name, f"{value:.3f}" if value <= 1 else f"{value:,.0f}"] for name, value in figures.items()]
    text = [
        f"# {path.stem}",
        f"`make train`, {today}, {machine_name()}, {os.cpu_count()} cores: teacher {minutes['teacher']:.0f} min, "
        f"student {minutes['student']:.0f} min. Figures of the int8 file unless they say otherwise.",
        tabulate(rows, ["what", "figure"], tablefmt="github", disable_numparse=True),
        f"![loss and validation accuracy]({picture.name})",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(text) + "\n")
    return path
