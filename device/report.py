"""A latency log -> percentiles by stage, a picture, one verdict sentence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from device.errors import LogError
from device.latency import ReadLog

STAGES = ("wait", "preprocess", "inference", "total")
PERCENTILES = (50, 90, 95, 99)
LEAST_SAMPLES = {50: 1, 90: 10, 95: 20, 99: 100}
"""Under so many samples a percentile is the maximum in disguise, and is left out."""


def percentile(sorted_values: Sequence[float], percent: float) -> float:
    """Nearest rank: the smallest value that at least `percent` of the values do not exceed."""
    return sorted_values[max(0, math.ceil(len(sorted_values) * percent / 100) - 1)]


def summarize(read: ReadLog) -> dict[str, Any]:
    """The report as data: what `report --json` prints. Times in microseconds; unknown is None."""
    frames = [frame for frame in read.frames if not frame.warmup]
    stages: dict[str, Any] = {}
    for stage in STAGES:
        values = sorted(getattr(frame, f"{stage}_ns") / 1000 for frame in frames)
        stages[stage] = {
            "n": len(values),
            **{
                f"p{percent}_us": percentile(values, percent) if len(values) >= LEAST_SAMPLES[percent] else None
                for percent in PERCENTILES
            },
            "max_us": values[-1] if values else None,
        }
    span_ns = frames[-1].captured_ns - frames[0].captured_ns if len(frames) > 1 else 0
    header = read.header
    return {
        "log": read.path,
        "run_id": header.run_id,
        "start_utc": header.start_utc,
        "machine": header.machine,
        "source": header.source,
        "model": header.model,
        "runtime": header.runtime,
        "frames": len(frames),
        "warmup_frames": len(read.frames) - len(frames),
        "skipped": sum(frame.skipped for frame in frames),
        "rate_hz": (len(frames) - 1) / (span_ns / 1e9) if span_ns > 0 else None,
        "unsure_share": sum(frame.decision == "unsure" for frame in frames) / len(frames) if frames else None,
        "ended": read.footer.ended if read.footer else None,
        "lost_records": read.footer.lost_records if read.footer else None,
        "unreadable_lines": read.unreadable_lines,
        "stages": stages,
        "verdict": _verdict(frames, stages, read),
    }


def render(summary: dict[str, Any]) -> str:
    """The report as text for a terminal."""
    from tabulate import tabulate

    columns = ["n", *(f"p{percent}_us" for percent in PERCENTILES), "max_us"]
    rows = [[stage, *(_cell(values[column]) for column in columns)] for stage, values in summary["stages"].items()]
    rate = f"{summary['rate_hz']:.1f} frames/s" if summary["rate_hz"] else "rate unknown"
    lines = [
        f"{summary['log']}: {summary['source']}",
        f"{summary['model']} in {summary['runtime']} on {summary['machine']}, {summary['start_utc']}",
        f"{summary['frames']} frames ({summary['warmup_frames']} of warm-up left out), {rate}, "
        f"{summary['skipped']} skipped",
        "",
        tabulate(
            rows,
            ["stage, us", "n", *(f"p{percent}" for percent in PERCENTILES), "max"],
            disable_numparse=True,
            colalign=("left", *("right",) * len(columns)),
        ),
        "",
        summary["verdict"],
    ]
    return "\n".join(lines)


def draw(read: ReadLog, path: Path) -> None:
    """A PNG: each frame's stages over time, and the percentile curve of the total. Raises LogError."""
    try:
        import matplotlib
    except ImportError:
        raise LogError("the picture needs matplotlib: run `make report`, or install the extra `report`") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    frames = [frame for frame in read.frames if not frame.warmup]
    figure, (timeline, curve) = pyplot.subplots(1, 2, figsize=(12, 4.5), width_ratios=(2, 1), layout="constrained")
    seconds = [(frame.captured_ns - read.header.start_ns) / 1e9 for frame in frames]
    milliseconds = {
        stage: [getattr(frame, f"{stage}_ns") / 1e6 for frame in frames] for stage in ("preprocess", "inference")
    }
    timeline.stackplot(seconds, *milliseconds.values(), labels=list(milliseconds), step="mid", alpha=0.8)
    timeline.set(xlabel="seconds since start", ylabel="ms", title="Where the time of each frame goes")
    timeline.legend(loc="upper right")
    total = np.sort([frame.total_ns / 1e6 for frame in frames])
    shares = (np.arange(len(total)) + 1) / max(1, len(total))
    tail = 1 / np.maximum(1 - shares, 1 / max(1, len(total)))
    curve.step(tail, total, where="pre")
    curve.set(xscale="log", xlabel="percentile", ylabel="ms, frame to answer", title=f"{len(total)} frames")
    marks = [percent for percent in (50, 90, 99, 99.9) if len(total) * (100 - percent) >= 100 or percent <= 90]
    curve.set_xticks([100 / (100 - percent) for percent in marks], [f"p{percent:g}" for percent in marks])
    figure.suptitle(f"{read.header.model}, {read.header.runtime}, {read.header.machine}", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _verdict(frames: list[Any], stages: dict[str, Any], read: ReadLog) -> str:
    """One sentence for whoever asks "is it fast enough, and where does the time go?"."""
    if not frames:
        return "No frame after the warm-up: nothing can be said; run it longer."
    tail_name = "p99" if stages["total"]["p99_us"] is not None else "max"
    tail_us = stages["total"][f"{tail_name}_us"]
    p50_us = stages["total"]["p50_us"]
    largest = max(("preprocess", "inference"), key=lambda stage: stages[stage]["p50_us"])
    share = stages[largest]["p50_us"] / p50_us if p50_us else 0.0
    skipped = sum(frame.skipped for frame in frames)
    kept_up = "kept up with its source" if not skipped else f"missed {skipped} frames of its source"
    few = "" if len(frames) >= LEAST_SAMPLES[99] else f" (only {len(frames)} frames: no p99 yet)"
    cut = "" if read.footer else "; the log has no footer: the run was cut off or still goes on"
    return (
        f"Half of the answers took at most {p50_us / 1000:.2f} ms, {tail_name} {tail_us / 1000:.2f} ms{few}; "
        f"{largest} is {share:.0%} of it; the loop {kept_up}{cut}."
    )
