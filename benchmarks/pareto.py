"""The picture of all models: accuracy over the time of an inference, the file's size as area."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict


def draw_pareto(measured: Dict[str, Any], path: Path) -> None:
    """Accuracy by the card over measured invoke, a circle's area the file's size; a panel for each data set."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    datasets = sorted({dataset for card in measured["cards"].values() for dataset in card["accuracies"]})
    figure, panels = pyplot.subplots(1, max(1, len(datasets)), figsize=(6 * max(1, len(datasets)), 4.5), squeeze=False)
    for panel, dataset in zip(panels[0], datasets, strict=False):
        for row in measured["settings"]["rows"]:
            card = measured["cards"][row["model"]]
            if row["error"] or row["threads"] != 1 or dataset not in card["accuracies"]:
                continue
            invoke_us = row["paced"]["inference"]["p50_us"]
            colour = "tab:blue" if row["runtime"].startswith("litert") else "tab:orange"
            panel.scatter(invoke_us, card["accuracies"][dataset], s=card["bytes"] / 1000, color=colour, alpha=0.6)
            label = f"{card['name']}, {card['input']}, {row['runtime'].split()[0]}, {card['bytes'] / 1000:.0f} kB"
            panel.annotate(
                label, (invoke_us, card["accuracies"][dataset]), fontsize=7, xytext=(6, 4), textcoords="offset points"
            )
        panel.set(title=dataset, xlabel="one inference at 30 frames/s, 1 thread, us", ylabel="accuracy", xscale="log")
        panel.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(str(path), dpi=120)
    pyplot.close(figure)
