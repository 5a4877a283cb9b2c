"""Which runtime and how many threads are fastest on this board, and how fast: `python -m device bench`.

Tight loops flatter a small model, whose weights then never leave the cache: what counts is the pace of the camera.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import msgspec

from device.bench_worker import STAGES, Job, Measured
from device.config import Config
from device.errors import ModelError
from device.health import Health, throttling_between
from device.histograms import Histogram, merged
from device.machine import machine_name
from device.report import stage_figures
from device.runtime import installed_runtimes

MOST_THREADS = 4
LEAST_AGREEMENT = 0.95
"""Share of frames on which a setting must give the label that most settings give: fast and wrong does not count."""

_SAME_SPEED = 1.05
_NOISY = 1.25
_ROUNDS = 2
_CHILD_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Row:
    """One setting. tight, paced: stage -> times of all rounds. spread: largest over smallest paced p50 of the rounds.

    agreement: share of frames with the label that most settings give. error: why there are no figures, else "".
    """

    job: Job
    runtime: str
    tight: Dict[str, Histogram]
    paced: Dict[str, Histogram]
    spread: float
    agreement: float
    error: str = ""


def usable_threads() -> int:
    """Threads worth trying here, 1 to 4: no more than there are processors to run on."""
    return min(MOST_THREADS, len(os.sched_getaffinity(0)))


def plan(config: Config, models: Sequence[Path], most_threads: int, *, quick: bool = False) -> List[Job]:
    """The settings to measure, the same for each model: every installed runtime with 1 to `most_threads` threads."""
    effort = (0.0, 10, 0.0) if quick else (10.0 / _ROUNDS, 100 // _ROUNDS, 0.5)
    return [
        Job(str(model), runtime, count, config.camera, *effort)
        for model in models
        for runtime in installed_runtimes()
        for count in range(1, most_threads + 1)
    ]


def measure_all(jobs: Sequence[Job], *, after_each: Callable[[], object] = lambda: None) -> List[Row]:
    """Every job in turn, and all of them again, so that a board that warms up is no setting's luck.

    after_each: called 2 * len(jobs) times. A job that fails is a row with its error.
    """
    answers: Dict[Job, List[Measured]] = {job: [] for job in jobs}
    errors: Dict[Job, str] = {}
    for _ in range(_ROUNDS):
        for job in jobs:
            try:
                answers[job].append(_in_a_child(job))
            except ModelError as error:
                errors[job] = str(error)
            after_each()
    rows = []
    for job in jobs:
        usual = _usual_labels([answer for other in jobs if other.model == job.model for answer in answers[other]])
        rows.append(
            Row(job, job.runtime, {}, {}, 0.0, 0.0, errors[job]) if job in errors else _row(job, answers[job], usual)
        )
    return rows


def choose(rows: Sequence[Row]) -> Row | None:
    """The fastest at the camera's pace; of those within 5 % of it the one with the fewest threads. None if none ran."""
    right = [row for row in rows if not row.error and row.agreement >= LEAST_AGREEMENT]
    if not right:
        return None
    best = min(map(_p50_ns, right))
    as_fast = [row for row in right if _p50_ns(row) <= best * _SAME_SPEED]
    return min(as_fast, key=lambda row: (row.job.threads, _p50_ns(row)))


def summarize(rows: Sequence[Row], config: Config, health: Sequence[Health]) -> dict[str, Any]:
    """What `bench --json` prints. Times in microseconds; `recommended` is of the first model, None if nothing ran.

    health: readings before and after.
    """
    first = [row for row in rows if row.job.model == rows[0].job.model]
    chosen = choose(first)
    return {
        "machine": machine_name(),
        "utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "source": config.camera.source,
        "rate_hz": config.camera.frame_rate_hz,
        "rows": [_figures(row) for row in rows],
        "held_back_by": throttling_between(health),
        "now": {"runtime": config.model.runtime, "threads": config.model.threads},
        "recommended": chosen
        and {"runtime": chosen.job.runtime, "threads": chosen.job.threads, "spread": chosen.spread},
    }


def render(summary: dict[str, Any]) -> str:
    """The table and what to do, for a terminal."""
    from tabulate import tabulate

    rows, problems = [], []
    for row in summary["rows"]:
        name = "/".join(Path(row["model"]).parts[-2:])
        if row["error"]:
            problems.append(f"{name}, {row['runtime']}, {row['threads']} threads: {row['error']}")
            continue
        paced, tight = row["paced"], row["tight"]
        cells = [
            paced["total"]["p50_us"],
            paced["total"]["p95_us"],
            paced["total"]["p99_us"],
            paced["preprocess"]["p50_us"],
        ]
        cells += [paced["inference"]["p50_us"], tight["inference"]["p50_us"]]
        texts = ["-" if cell is None else f"{cell:,.0f}" for cell in cells]
        rows.append([name, row["runtime"], row["threads"], *texts, f"{row['spread']:.2f}", f"{row['agreement']:.0%}"])
    names = ["model", "runtime", "threads", "p50", "p95", "p99", "preprocess", "inference", "tight", "spread", "agree"]
    lines = [
        f"{summary['machine']}, {summary['utc']}, {summary['source']}",
        f"us a frame at {summary['rate_hz']:g} frames/s (tight: inference back to back)",
        "",
        tabulate(rows, names, disable_numparse=True, colalign=("left", "left", *("right",) * 9)) if rows else "",
        "",
        *problems,
        advice(summary),
    ]
    return "\n".join(lines)


def advice(summary: dict[str, Any]) -> str:
    """What to put into config.yaml, in one sentence."""
    best = summary["recommended"]
    if best is None:
        return "No setting ran and gave the labels that the others give: nothing to recommend."
    if summary["held_back_by"]:
        names = ", ".join(summary["held_back_by"])
        return f"The board was held back ({names}): cool or power it better, and run it again."
    noise = ""
    if best["spread"] > _NOISY:
        noise = f" The rounds differ by {best['spread'] - 1:.0%}: something else was running, better run it again."
    setting = f"model.runtime: {best['runtime']}, model.threads: {best['threads']}"
    now = f"{summary['now']['runtime']}, {summary['now']['threads']}"
    return f"Best here: {setting} (now {now}; --apply writes it).{noise}"


def _in_a_child(job: Job) -> Measured:
    command = [sys.executable, "-m", "device.bench_worker"]
    try:
        done = subprocess.run(
            command, input=msgspec.json.encode(job), capture_output=True, check=False, timeout=_CHILD_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{job.model}: gave no figures within {_CHILD_TIMEOUT_S:.0f} s") from None
    if done.returncode == 0:
        return msgspec.json.decode(done.stdout, type=Measured)
    said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.startswith("error: ")]
    raise ModelError(said[-1][len("error: ") :] if said else f"{job.model}: the process ended with {done.returncode}")


def _usual_labels(answers: Sequence[Measured]) -> List[str]:
    """Frame by frame, the label that most settings give."""
    return [Counter(labels).most_common(1)[0][0] for labels in zip(*(answer.labels for answer in answers))]


def _row(job: Job, answers: Sequence[Measured], usual: Sequence[str]) -> Row:
    tight, paced = (
        {stage: merged(Histogram.from_record(series[stage]) for series in rounds) for stage in STAGES}
        for rounds in ([answer.tight for answer in answers], [answer.paced for answer in answers])
    )
    p50 = [Histogram.from_record(answer.paced["total"]).percentile_ns(50) or 0.0 for answer in answers]
    same = [mine == theirs for answer in answers for mine, theirs in zip(answer.labels, usual)]
    return Row(job, answers[0].runtime, tight, paced, max(p50) / min(p50), sum(same) / len(same))


def _p50_ns(row: Row) -> float:
    return row.paced["total"].percentile_ns(50) or 0.0


def _figures(row: Row) -> dict[str, Any]:
    return {
        "model": row.job.model,
        "runtime": row.runtime,
        "threads": row.job.threads,
        "tight": {stage: stage_figures(histogram) for stage, histogram in row.tight.items()},
        "paced": {stage: stage_figures(histogram) for stage, histogram in row.paced.items()},
        "spread": row.spread,
        "agreement": row.agreement,
        "error": row.error,
    }
