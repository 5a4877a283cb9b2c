"""The report of `make reproduce`: Markdown for people, JSON for programs, and what must hold."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import NamedTuple

import msgspec
from tabulate import tabulate

ARTICLE_ACCURACY = 0.8855
ARTICLE_H5_MB = 1.19
ARTICLE_TFLITE_KB = 398.969


class Row(msgspec.Struct, frozen=True):
    """One exported file. accuracy: test set, 0..1. size_kb: 1024 bytes. p50_us: one image, in and out."""

    file: str
    kind: str
    accuracy: float
    keras_accuracy: float
    size_kb: float
    p50_us: float
    loads_in: list[str]


class Race(NamedTuple):
    """Wall seconds of each, and their accuracies on the test set, 0..1."""

    article_s: float
    article_accuracy: float
    fast_s: float
    fast_accuracy: float
    fast_epochs: int


class Figures(NamedTuple):
    """All that was measured. float32_agrees: of 10,000."""

    rows: list[Row]
    keras_accuracies: list[float]
    h5_kb: float
    float32_agrees: int
    race: Race
    machine: str
    date: str
    versions: str


def shortfalls(figures: Figures) -> list[str]:
    """What must hold and does not, a sentence each."""
    race = figures.race
    by_kind = {row.kind: row for row in figures.rows}
    mean = statistics.mean(figures.keras_accuracies)
    int8, float32 = by_kind["int8"], by_kind["float32"]
    checks = [
        (
            abs(mean - ARTICLE_ACCURACY) <= 0.01,
            f"Keras accuracy {mean:.4f}: expected within 0.01 of {ARTICLE_ACCURACY}",
        ),
        (figures.float32_agrees == 10_000, f"float32 answers {figures.float32_agrees} of 10,000 as Keras does"),
        (abs(figures.h5_kb / 1024 - ARTICLE_H5_MB) < 0.05, f".h5 has {figures.h5_kb / 1024:.2f} MB"),
        (abs(float32.size_kb - ARTICLE_TFLITE_KB) < 4, f"float32 .tflite has {float32.size_kb} KB"),
        (abs(int8.accuracy - float32.accuracy) <= 0.005, f"int8 {int8.accuracy:.4f}, float32 {float32.accuracy:.4f}"),
        (int8.size_kb <= 110, f"int8 has {int8.size_kb} KB, expected at most 110"),
        (
            race.fast_accuracy >= 0.885,
            f"the fast recipe reaches {race.fast_accuracy:.4f}, expected 0.885",
        ),
        (
            race.fast_s < race.article_s,
            f"fast recipe {race.fast_s:.1f} s, article's fit {race.article_s:.1f} s",
        ),
    ]
    return [message for holds, message in checks if not holds]


def write_report(folder: Path, figures: Figures) -> list[str]:
    """Write reproduce.md, reproduce.json (a list, one object a file) and reproduce-run.json; return the shortfalls."""
    missed = shortfalls(figures)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reproduce.md").write_text(_markdown(figures, missed))
    (folder / "reproduce.json").write_bytes(msgspec.json.format(msgspec.json.encode(figures.rows)) + b"\n")
    run = {**figures._asdict(), "race": figures.race._asdict(), "shortfalls": missed}
    del run["rows"]  # They are reproduce.json.
    (folder / "reproduce-run.json").write_text(json.dumps(run, indent=2) + "\n")
    return missed


def table(figures: Figures) -> str:
    """The article's figures and ours, side by side, as Markdown."""
    article, h5 = f"{ARTICLE_ACCURACY:.2%}", figures.h5_kb
    keras = figures.keras_accuracies[0]
    rows = [
        ["the article, Keras .h5", article, "", f"{ARTICLE_H5_MB} MB", "", ""],
        ["the article, .tflite float32", article, "0.00", f"{ARTICLE_TFLITE_KB}", "", ""],
        ["ours, Keras .h5", f"{keras:.2%}", "", f"{h5 / 1024:.2f} MB", "", ""],
    ]
    for row in figures.rows:
        difference = f"{(row.accuracy - row.keras_accuracy) * 100:+.2f}"
        loads = ", ".join(row.loads_in)
        size = f"{row.size_kb:.1f}"
        rows.append([f"ours, .tflite {row.kind}", f"{row.accuracy:.2%}", difference, size, f"{row.p50_us:.0f}", loads])
    headers = ["model", "test accuracy", "points to Keras", "KB", "p50, us", "loads in"]
    return str(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


def _markdown(figures: Figures, missed: list[str]) -> str:
    race = figures.race
    accuracies = figures.keras_accuracies
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    runtimes = sorted({name for row in figures.rows for name in row.loads_in})
    only = "" if len(runtimes) > 1 else " tflite-runtime has no wheel for this Python (it ends at 3.11)."
    return f"""# The article, reproduced

`make reproduce`, {figures.date}, on {figures.machine} ({figures.versions}).
A workstation's figures, not a board's.

{table(figures)}

KB are 1024 bytes. p50 is the median of one image through `device.classifier`, back to back.{only}

- Keras over {len(accuracies)} seeds: mean {statistics.mean(accuracies):.2%}, standard deviation
  {spread * 100:.2f} points ({", ".join(f"{accuracy:.2%}" for accuracy in accuracies)}).
- float32 .tflite gives the class that Keras gives on {figures.float32_agrees:,} of 10,000 test images.
- The article's `fit` (batch 32, 10 epochs) took {race.article_s:.1f} s and has {race.article_accuracy:.2%} on the test
  set; {race.fast_epochs} epochs of larger batches with a learning rate that rises and falls (chosen on the validation
  set, on which it is not trained) took {race.fast_s:.1f} s and have {race.fast_accuracy:.2%}.

{"Falls short: " + "; ".join(missed) if missed else "Everything that must hold, holds."}

![samples](samples.png)
![one image](one-image.png)
![class counts](class-counts.png)
![training loss](training-curves.png)
![training accuracy](training-accuracy.png)
![confusion](confusion.png)
![size and accuracy](size-accuracy.png)
"""
