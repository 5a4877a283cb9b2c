"""The pictures of a report: what each answer took over time, the percentile curve, where the time goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import numpy as np

from device.errors import LogError
from device.health import throttling
from device.histograms import LEAST_SAMPLES, Histogram, value_ns
from device.latency_read import Run
from device.records import Gap, Window

_STACKED = ("preprocess", "inference", "decision", "sinks")
_CURVES = ("total", "age from exposure", "age from arrival")
_MARKS = (50, 90, 99, 99.9, 99.99)


def draw(run: Run, path: Path) -> None:
    """A PNG of one run. Raises LogError."""
    try:
        import matplotlib
    except ImportError:
        raise LogError("the picture needs matplotlib: run `make report`, or install the extra `report`") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplot_mosaic(
        [["time", "curve"], ["stack", "curve"]], figsize=(13, 7), width_ratios=(5, 3), layout="constrained"
    )
    _draw_time(run, axes["time"])
    _draw_stack(run, axes["stack"])
    axes["stack"].sharex(axes["time"])
    _draw_curve(run, axes["curve"])
    header = run.header
    figure.suptitle(f"{header.model}, {header.runtime}, {header.machine}, {header.start_utc[:16]} UTC", fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw_time(run: Run, axes: Any) -> None:
    """p50, p99 and the slowest of each piece of time; throttling and gaps behind them, the temperature above."""
    scale, _ = _time_unit(run)
    pieces = _pieces(run)
    at = [_at(run, (piece.start_ns + piece.end_ns) / 2) / scale for piece in pieces]
    totals = [run.histogram("total", [piece] if isinstance(piece, Window) else []) for piece in pieces]
    slowest = [histogram.max_ns / 1e6 if len(histogram) else np.nan for histogram in totals]
    axes.plot(at, slowest, ".", color="0.55", markersize=4, label="slowest")
    for percent, colour in ((99, "tab:orange"), (50, "tab:blue")):
        known = [histogram.percentile_ns(percent) if len(histogram) else None for histogram in totals]
        if any(value is not None for value in known):
            milliseconds = [np.nan if value is None else value / 1e6 for value in known]
            axes.plot(at, milliseconds, color=colour, label=f"p{percent}")
    slow = [frame for frame in run.slow if not frame.warmup]
    if slow:
        seconds = [_at(run, frame.captured_ns) / scale for frame in slow]
        axes.plot(seconds, [frame.total_ns / 1e6 for frame in slow], ".", color="0.8", markersize=2, zorder=0)
    labels = {"throttled": "tab:red", "no camera": "0.5"}
    for start_s, end_s, what in _shaded(run):
        axes.axvspan(start_s / scale, end_s / scale, color=labels[what], alpha=0.18, lw=0, label=what)
    axes.set(ylabel="ms, frame to answer", yscale="log", title="Each answer over time")
    axes.margins(y=0.2)
    _plain_log_scale(axes)
    readings = [reading for reading in run.health if reading.temperature_c is not None]
    handles = {handle.get_label(): handle for handle in axes.get_legend_handles_labels()[0]}
    if readings:
        warm = axes.twinx()
        seconds = [_at(run, reading.at_ns) / scale for reading in readings]
        temperatures = [reading.temperature_c for reading in readings]
        (line,) = warm.plot(seconds, temperatures, color="tab:red", lw=0.8, ls="--", label="temperature")
        warm.set(ylabel="°C", ylim=(20, 100))
        handles["temperature"] = line
    if handles:
        axes.legend(handles.values(), handles.keys(), loc="upper left", fontsize=8, ncols=len(handles))
    axes.tick_params(labelbottom=False)
    axes.set_xlim(0, _at(run, _end_ns(run)) / scale or 1)


def _draw_stack(run: Run, axes: Any) -> None:
    """Means of the stages, one on the other: means add up to the mean of the whole, percentiles would not."""
    scale, unit = _time_unit(run)
    pieces = _pieces(run)
    edges = [_at(run, piece.start_ns) / scale for piece in pieces]
    means = [[_mean_ms(run, stage, piece) for piece in pieces] for stage in _STACKED]
    if pieces:
        edges.append(_at(run, pieces[-1].end_ns) / scale)
        below = np.zeros(len(pieces))
        for stage, mean in zip(_STACKED, means):
            axes.stairs(below + mean, edges, baseline=below, fill=True, label=stage, alpha=0.85)
            below = below + mean
        axes.legend(loc="upper left", fontsize=8, ncols=len(_STACKED))
        axes.margins(y=0.2)
    axes.set(xlabel=f"{unit} since the start", ylabel="ms, mean", title="Where the time of a frame goes")


def _pieces(run: Run) -> list[Window | Gap]:
    """The blocks, and the gaps between them, in which nothing may be drawn."""
    pieces: list[Window | Gap] = [*run.blocks, *run.gaps]
    return sorted(pieces, key=lambda piece: piece.start_ns)


def _mean_ms(run: Run, stage: str, piece: Window | Gap) -> float:
    return run.histogram(stage, [piece]).mean_ns() / 1e6 if isinstance(piece, Window) else float("nan")


def _draw_curve(run: Run, axes: Any) -> None:
    """Percentiles on a scale that gives each further nine the same width."""
    longest = 1
    for stage in _CURVES:
        histogram = run.histogram(stage)
        if len(histogram):
            tail, milliseconds = _curve(histogram)
            axes.step(tail, milliseconds, where="pre", label=f"{stage}, {len(histogram):,} frames")
            longest = max(longest, len(histogram))
    marks = [percent for percent in _MARKS if longest >= LEAST_SAMPLES.get(percent, 10_000)]
    axes.set(xscale="log", yscale="log", xlabel="percentile", ylabel="ms", title="How long at most, for how many")
    axes.set_xticks([100 / (100 - percent) for percent in marks], [f"p{percent:g}" for percent in marks])
    axes.minorticks_off()
    _plain_log_scale(axes)
    axes.set_xlim(1, 1.2 * longest)
    axes.grid(alpha=0.3)
    if longest > 1:
        axes.legend(loc="upper left", fontsize=8)


def _plain_log_scale(axes: Any) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")


def _curve(histogram: Histogram) -> tuple[list[float], list[float]]:
    """x: 1 / (share of frames that take longer); y: ms. The last point is the slowest frame itself."""
    bins = list(histogram.bins())
    counts = np.cumsum([count for _, count in bins])
    tail = len(histogram) / np.maximum(len(histogram) - counts, 1)
    milliseconds = [min(value_ns(number), histogram.max_ns) / 1e6 for number, _ in bins]
    milliseconds[-1] = histogram.max_ns / 1e6
    return [1.0, *map(float, tail)], [milliseconds[0], *milliseconds]


def _shaded(run: Run) -> Iterator[tuple[float, float, str]]:
    """(start, end, what) in seconds since the start."""
    for reading, after in zip(run.health, run.health[1:]):
        if throttling(reading):
            yield _at(run, reading.at_ns), _at(run, after.at_ns), "throttled"
    for gap in run.gaps:
        yield _at(run, gap.start_ns), _at(run, gap.end_ns), "no camera"


def _end_ns(run: Run) -> int:
    return max((window.end_ns for window in run.windows), default=run.header.start_ns)


def _at(run: Run, at_ns: float) -> float:
    return (at_ns - run.header.start_ns) / 1e9


def _time_unit(run: Run) -> tuple[float, str]:
    seconds = _at(run, _end_ns(run))
    return (1.0, "seconds") if seconds < 300 else (60.0, "minutes") if seconds < 3 * 3600 else (3600.0, "hours")
