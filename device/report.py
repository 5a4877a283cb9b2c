"""A run's latency log -> percentiles by stage, what the board did meanwhile, one verdict sentence."""

from __future__ import annotations

import csv
import io
from typing import Any, Iterable, Sequence

from device.changes import Rise, find_rise
from device.health import Health, throttling, throttling_between
from device.histograms import LEAST_SAMPLES, Histogram
from device.latency_read import Run

PERCENTILES = (50, 90, 95, 99)
_COLUMNS = ("n", *(f"p{percent}_us" for percent in PERCENTILES), "max_us")


def summarize(run: Run) -> dict[str, Any]:
    """The report as data: what `report --json` prints. Times in microseconds; unknown is None."""
    header, counted = run.header, run.counted
    frames = sum(window.frames for window in counted)
    warmup = [window for window in run.windows if window.warmup]
    span_ns = sum(window.end_ns - window.start_ns for window in counted)
    rise = find_rise(run)
    stages = {stage: stage_figures(run.histogram(stage)) for stage in run.stages}
    return {
        "log": str(run.path),
        "run_id": header.run_id,
        "start_utc": header.start_utc,
        "machine": header.machine,
        "source": header.source,
        "model": header.model,
        "runtime": header.runtime,
        "threads": header.threads,
        "frames": frames,
        "skipped": sum(window.skipped for window in counted),
        "idle": sum(window.idle for window in counted),
        "rate_hz": frames / (span_ns / 1e9) if span_ns > 0 else None,
        "unsure_share": sum(window.unsure for window in counted) / frames if frames else None,
        "warmup": {
            "frames": sum(window.frames for window in warmup),
            "total": stage_figures(run.histogram("total", warmup)),
        },
        "stages": stages,
        "board": _board(run.health),
        "gaps": {"n": len(run.gaps), "seconds": sum(gap.end_ns - gap.start_ns for gap in run.gaps) / 1e9},
        "ended": run.footer.ended if run.footer else None,
        "lost_records": run.footer.lost_records if run.footer else None,
        "missing": run.missing,
        "rise": None if rise is None else _rise_figures(run, rise),
        "verdict": _verdict(run, frames, stages, rise),
    }


def stage_figures(histogram: Histogram) -> dict[str, float | None]:
    """n, percentiles and max of one stage, in microseconds."""
    percentiles = {percent: histogram.percentile_ns(percent) for percent in PERCENTILES}
    return {
        "n": len(histogram),
        **{f"p{percent}_us": None if ns is None else ns / 1000 for percent, ns in percentiles.items()},
        "max_us": histogram.max_ns / 1000 if len(histogram) else None,
    }


def render(summary: dict[str, Any]) -> str:
    """One run as text for a terminal."""
    from tabulate import tabulate

    rows = [[stage, *(_cell(values[column]) for column in _COLUMNS)] for stage, values in summary["stages"].items()]
    rate = f"{summary['rate_hz']:.1f} frames/s" if summary["rate_hz"] else "rate unknown"
    warmup = summary["warmup"]
    slowest = f", slowest {warmup['total']['max_us'] / 1000:.1f} ms" if warmup["frames"] else ""
    gaps = summary["gaps"]
    lines = [
        f"{summary['log']}: {summary['source']}",
        f"{summary['model']} in {summary['runtime']} on {summary['machine']}, {summary['start_utc']}",
        f"{summary['frames']} frames ({warmup['frames']} of warm-up left out{slowest}), {rate}, "
        f"{summary['skipped']} skipped" + (f", {summary['idle']} idle (nothing moved)" if summary["idle"] else ""),
        "",
        tabulate(
            rows,
            ["stage, us", "n", *(f"p{percent}" for percent in PERCENTILES), "max"],
            disable_numparse=True,
            colalign=("left", *("right",) * len(_COLUMNS)),
        ),
        "",
        *_board_lines(summary["board"]),
        *([f"gaps: {gaps['n']} without the camera, {gaps['seconds']:.0f} s in all"] if gaps["n"] else []),
        *([f"missing from this log: {'; '.join(summary['missing'])}"] if summary["missing"] else []),
        summary["verdict"],
    ]
    return "\n".join(lines)


def render_overview(summaries: Sequence[dict[str, Any]]) -> str:
    """Many runs, a line each. Their percentiles stay apart: each run has its own model, board and weather."""
    from tabulate import tabulate

    rows = []
    for summary in summaries:
        total = summary["stages"].get("total", stage_figures(Histogram()))
        cells = (_cell(total[column]) for column in _COLUMNS)
        rows.append([summary["start_utc"][:16], summary["model"], summary["runtime"], *cells, summary["skipped"]])
    names = ["start, UTC", "model", "runtime", "n", *(f"p{percent}" for percent in PERCENTILES), "max", "skipped"]
    return f"{len(rows)} runs, total in us\n" + tabulate(
        rows, names, disable_numparse=True, colalign=("left",) * 3 + ("right",) * (len(_COLUMNS) + 1)
    )


def to_csv(summaries: Iterable[dict[str, Any]]) -> str:
    """A line for each stage of each run."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    about = ("log", "start_utc", "machine", "model", "runtime", "threads")
    table.writerow([*about, "stage", *_COLUMNS])
    for summary in summaries:
        for stage, values in summary["stages"].items():
            table.writerow([*(summary[key] for key in about), stage, *(values[column] for column in _COLUMNS)])
    return text.getvalue()


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _board(readings: Sequence[Health]) -> dict[str, Any]:
    """The board's state over the run: ranges, and in how many readings something held it back."""

    def over(field: str) -> list[float]:
        return [value for value in (getattr(reading, field) for reading in readings) if value is not None]

    watts = over("watts")
    return {
        "readings": len(readings),
        "throttled_readings": sum(map(bool, map(throttling, readings))) if over("throttled_bits") else None,
        "throttled_by": throttling_between(readings),
        **{
            field: [min(values), max(values)] if (values := over(field)) else None
            for field in ("temperature_c", "clock_hz", "load_1m", "rss_bytes", "free_disk_bytes")
        },
        "mean_watts": sum(watts) / len(watts) if watts else None,
    }


def _board_lines(board: dict[str, Any]) -> list[str]:
    formats = {
        "temperature_c": ("{} °C", lambda value: f"{value:.0f}"),
        "clock_hz": ("{} GHz", lambda value: f"{value / 1e9:.2f}"),
        "load_1m": ("load {}", lambda value: f"{value:.1f}"),
        "rss_bytes": ("{} MB of memory", lambda value: f"{value / 1e6:.0f}"),
    }
    parts = []
    for field, (text, format_one) in formats.items():
        if board[field] is not None:
            ends = list(dict.fromkeys(map(format_one, board[field])))
            parts.append(text.format(" to ".join(ends)))
    if board["mean_watts"] is not None:
        parts.append(f"{board['mean_watts']:.2f} W on average")
    if board["throttled_by"]:
        by = ", ".join(board["throttled_by"])
        parts.append(f"held back in {board['throttled_readings']} of {board['readings']} readings ({by})")
    return [f"board: {', '.join(parts)}"] if parts else []


def _rise_figures(run: Run, rise: Rise) -> dict[str, Any]:
    return {
        "start_utc": run.utc(rise.start_ns).isoformat(timespec="seconds"),
        "end_utc": run.utc(rise.end_ns).isoformat(timespec="seconds"),
        "usual_p99_us": rise.usual_ns / 1000,
        "slow_p99_us": rise.slow_ns / 1000,
        "stage": rise.stage,
        "cause": rise.cause,
    }


def _verdict(run: Run, frames: int, stages: dict[str, Any], rise: Rise | None) -> str:
    """One sentence for whoever asks "is it fast enough, where does the time go, and what changed?"."""
    if not frames:
        return "No frame after the warm-up: nothing can be said; run it longer."
    total = stages["total"]
    tail_name = "p99" if total["p99_us"] is not None else "max"
    few = "" if total["p99_us"] is not None else f" (only {frames} frames: p99 needs {LEAST_SAMPLES[99]})"
    largest = max(("preprocess", "inference", "decision"), key=lambda stage: run.histogram(stage).mean_ns())
    share = run.histogram(largest).mean_ns() / max(1.0, run.histogram("total").mean_ns())
    skipped = sum(window.skipped for window in run.counted)
    clauses = [
        f"Half of the answers took at most {total['p50_us'] / 1000:.2f} ms, "
        f"{tail_name} {total[f'{tail_name}_us'] / 1000:.2f} ms{few}",
        f"{largest} is {share:.0%} of it",
    ]
    if rise is not None:
        clauses.append(_rise_clause(run, rise))
    clauses.append(f"the loop missed {skipped} frames of its source" if skipped else "the loop kept up with its source")
    if run.missing:
        clauses.append(f"the log lacks {run.missing[0]}")
    return "; ".join(clauses) + "."


def _rise_clause(run: Run, rise: Rise) -> str:
    start, end = (run.utc(at_ns) for at_ns in (rise.start_ns, rise.end_ns))
    lasting = (rise.end_ns - rise.start_ns) / 60e9
    when = f" when {rise.cause}" if rise.cause else f", most of it in {rise.stage}; the board shows no cause"
    return (
        f"p99 rose from {rise.usual_ns / 1e6:.2f} to {rise.slow_ns / 1e6:.2f} ms at {start:%H:%M} UTC "
        f"for {lasting:.0f} min (until {end:%H:%M}){when}"
    )
