"""The picture of all models: accuracy over the time of an inference, the file's size as area."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

from benchmarks.zoo import datasets, front, points

_MARKERS = "os^Dv<>PXh*dp"
_COLOURS = ("tab:blue", "tab:orange", "tab:green")


def draw_pareto(measured: Dict[str, Any], path: Path) -> None:
    """A panel a data set, a marker a model, a colour a runtime; the line is the front of accuracy and time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker
    from matplotlib.lines import Line2D

    names = datasets(measured) or ["no model was measured on a data set"]
    cards = measured["cards"]
    markers = dict(zip(cards, _MARKERS * (1 + len(cards) // len(_MARKERS)), strict=False))
    colours = dict(zip(measured["runtimes"], _COLOURS, strict=False))
    figure, panels = pyplot.subplots(
        1, len(names), figsize=(5 * len(names) + 2.6, 4.4), squeeze=False, layout="constrained"
    )
    for panel, dataset in zip(panels[0], names, strict=True):
        for runtime, colour in colours.items():
            found = points(measured, dataset, runtime)
            best = front(found)
            panel.plot(
                [point.invoke_us for point in best],
                [100 * point.accuracy for point in best],
                drawstyle="steps-post",
                color=colour,
                alpha=0.5,
            )
            for point in found:
                ships = point.model == measured["model"]
                panel.scatter(
                    point.invoke_us,
                    100 * point.accuracy,
                    s=point.size_bytes / 1000,
                    marker=markers[point.model],
                    color=colour,
                    alpha=1.0 if ships else 0.6,
                    edgecolors="black" if ships else "none",
                    linewidths=1.8 if ships else 0,
                    zorder=4 if ships else 3,
                )
        panel.set(title=dataset, xlabel="one inference at 30 frames/s, 1 thread, us", ylabel="accuracy, %")
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
        panel.xaxis.set_minor_formatter(ticker.NullFormatter())
        panel.margins(0.12)  # The larger circles stay whole.
        panel.grid(alpha=0.3)
    handles = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker=markers[model],
            color="tab:gray",
            markeredgecolor="black" if model == measured["model"] else "none",
            markeredgewidth=1.8,
            markersize=8,
            label=f"{card['name']}, {card['bytes'] / 1000:.0f} kB{', ships' if model == measured['model'] else ''}",
        )
        for model, card in cards.items()
    ]
    handles += [Line2D([], [], color=colour, linewidth=3, label=runtime) for runtime, colour in colours.items()]
    figure.legend(handles=handles, loc="outside right upper", fontsize=9, title="area: the file's size")
    figure.savefig(str(path), dpi=120)
    pyplot.close(figure)
