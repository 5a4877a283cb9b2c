"""Pictures of data, trainings and results. Each writes one PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from device.arrays import Array
from device.labels import LABELS

matplotlib.use("Agg")
from matplotlib import pyplot as plt

_DPI = 110


def image_grid(path: Path, images: Sequence[Array], titles: Sequence[str], columns: int = 10) -> None:
    """Images of any size in rows, each with a title."""
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(1.35 * columns, 1.6 * rows), layout="constrained")
    for axis in np.ravel(axes):
        axis.set_axis_off()
    for axis, image, title in zip(np.ravel(axes), images, titles, strict=False):
        axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        axis.set_title(title, fontsize=7)
    _save(figure, path)


def image_with_colour_bar(path: Path, image: Array, title: str) -> None:
    """One image, large, with the scale of its values."""
    figure, axis = plt.subplots(figsize=(4.5, 4), layout="constrained")
    figure.colorbar(axis.imshow(image, cmap="viridis"))
    axis.set_title(title)
    _save(figure, path)


def class_counts(path: Path, counts: Mapping[str, Array]) -> None:
    """Bars of images a class, one series a split; each counts array has shape (10,)."""
    figure, axis = plt.subplots(figsize=(8, 3.5), layout="constrained")
    width = 0.8 / len(counts)
    for number, (name, values) in enumerate(counts.items()):
        axis.bar(np.arange(len(LABELS)) + number * width, values, width, label=name)
    axis.set_xticks(np.arange(len(LABELS)) + 0.4 - width / 2, LABELS, rotation=30, ha="right")
    axis.set_ylabel("images")
    axis.legend()
    _save(figure, path)


def training_curves(path: Path, curves: Mapping[str, Sequence[float]], ylabel: str) -> None:
    """Lines over epochs, by name."""
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, values in curves.items():
        axis.plot(np.arange(1, len(values) + 1), values, marker=".", label=name)
    axis.set(xlabel="epoch", ylabel=ylabel)
    axis.grid(alpha=0.3)
    axis.legend()
    _save(figure, path)


def histories(path: Path, trainings: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """A panel a training: its loss over checkpoints, and its validation accuracy on the right where it was taken."""
    figure, axes = plt.subplots(1, len(trainings), figsize=(5.5 * len(trainings), 3.8), layout="constrained")
    for axis, (name, entries) in zip(np.atleast_1d(axes), trainings.items(), strict=True):
        steps = np.arange(1, len(entries) + 1)
        axis.plot(steps, [entry["loss"] for entry in entries], label="training loss")
        axis.set(xlabel="checkpoint", ylabel="loss", title=name)
        axis.grid(alpha=0.3)
        if entries and "validation" in entries[0]:
            other = axis.twinx()
            other.plot(steps, [entry["validation"] for entry in entries], color="C1")
            other.set_ylabel("validation accuracy, float", color="C1")
    _save(figure, path)


def confusion(path: Path, truth: Array, predicted: Array, title: str, truth_names: Sequence[str] = LABELS) -> None:
    """Rows are the truth, columns the answer; counts, shaded by share of the row. Both int, shape (n,).

    truth_names: of the rows, which may be more than the ten that can be answered.
    """
    counts = np.zeros((len(truth_names), len(LABELS)), int)
    np.add.at(counts, (truth, predicted), 1)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    figure, axis = plt.subplots(figsize=(7.5, 6.5), layout="constrained")
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axis.text(column, row, counts[row, column], ha="center", va="center", fontsize=8, color=colour)
    axis.set_xticks(range(len(LABELS)), LABELS, rotation=45, ha="right")
    axis.set_yticks(range(len(truth_names)), truth_names)
    axis.set(xlabel="best of the ten", ylabel="truth", title=title)
    _save(figure, path)


def coverage(path: Path, confidence: Array, right: Array, unsure_below: float) -> None:
    """Accuracy of what is answered, against the share that is answered, as the threshold falls.

    confidence: float (n,). right: bool (n,). unsure_below: the threshold in use, marked.
    """
    order = np.argsort(-confidence)
    answered = np.arange(1, len(order) + 1)
    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    axis.plot(answered / len(order), np.cumsum(right[order]) / answered)
    used = max(1, int((confidence >= unsure_below).sum()))
    axis.plot([used / len(order)], [right[order][:used].mean()], "o", label=f"unsure below {unsure_below:.2f}")
    axis.set(xlabel="share answered", ylabel="accuracy of the answers", xlim=(0, 1.01))
    axis.grid(alpha=0.3)
    axis.legend()
    _save(figure, path)


def bars(path: Path, values: Mapping[str, float], xlabel: str) -> None:
    """Horizontal bars with their values, the first on top; its value is drawn through as a line."""
    figure, axis = plt.subplots(figsize=(7, 0.32 * len(values) + 0.9), layout="constrained")
    drawn = axis.barh(list(values), list(values.values()))
    axis.bar_label(drawn, fmt="%.3f", padding=3, fontsize=8)
    axis.axvline(next(iter(values.values())), color="gray", linewidth=0.8)
    axis.invert_yaxis()
    axis.set(xlabel=xlabel, xlim=(0, 1.08))
    _save(figure, path)


def pairs(path: Path, images: Sequence[tuple[Array, Array]], titles: Sequence[str], columns: int = 8) -> None:
    """Photographs (R,G,B) with, to the right of each, what the model saw (gray)."""
    rows = max(1, -(-len(images) // columns))
    figure, axes = plt.subplots(
        rows, 2 * columns, figsize=(2.1 * columns, 1.1 * rows), width_ratios=[1, 1.8] * columns, layout="constrained"
    )
    for axis in np.ravel(axes):
        axis.set_axis_off()
    for number, ((photo, seen), title) in enumerate(zip(images, titles, strict=True)):
        left, right = np.atleast_2d(axes)[number // columns, 2 * (number % columns) :][:2]
        left.imshow(photo[:: max(1, min(photo.shape[:2]) // 150), :: max(1, min(photo.shape[:2]) // 150)])
        right.imshow(seen, cmap="gray", vmin=0, vmax=255)
        left.set_title(title, fontsize=7, loc="left")
    _save(figure, path)


def scatter(path: Path, points: Mapping[str, tuple[float, float]], xlabel: str, ylabel: str) -> None:
    """Named points (x, y)."""
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, (x, y) in points.items():
        axis.scatter([x], [y])
        axis.annotate(name, (x, y), xytext=(5, 5), textcoords="offset points", fontsize=8)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.grid(alpha=0.3)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI)
    plt.close(figure)
