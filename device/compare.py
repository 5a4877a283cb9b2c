"""Two runs against each other: by how much their percentiles differ, how sure that is, or why it cannot be said."""

from __future__ import annotations

from typing import Any, Iterator, Sequence

import numpy as np

from device.arrays import Array
from device.errors import LogError
from device.health import throttling_between
from device.histograms import LEAST_SAMPLES, RELATIVE_ERROR, Histogram, value_ns
from device.latency_read import LEAST_BLOCKS, Run

PERCENTILES = (50, 95, 99)
CONFIDENCE = 0.95
_RESAMPLES = 1000
_MOST_BLOCKS = 100
_SAME = {
    "model_sha256": "model",
    "preprocessing": "preprocessing",
    "runtime": "runtime",
    "threads": "number of threads",
    "config_sha256": "config.yaml",
    "machine": "machine",
    "source": "source",
}


def compare(a: Run, b: Run, *, anyway: bool = False, seed: int = 0) -> dict[str, Any]:
    """What `compare --json` prints. Times in microseconds; differences are b less a, None where not comparable.

    anyway: give the differences of runs that are not comparable, too. seed: of the resampling. Raises LogError.
    """
    reasons = list(_not_comparable(a, b))
    enough = all(len(run.blocks) >= LEAST_BLOCKS for run in (a, b))
    rows = []
    for stage in a.stages:
        if stage not in b.stages:
            continue
        for percent in PERCENTILES:
            sides = [run.histogram(stage).percentile_ns(percent) for run in (a, b)]
            if sides[0] is None or sides[1] is None:
                continue
            row: dict[str, Any] = {"stage": stage, "percent": percent, "a_us": sides[0] / 1000, "b_us": sides[1] / 1000}
            if enough and (anyway or not reasons):
                row.update(_difference(a, b, stage, percent, seed))
            rows.append(row)
    return {
        "a": str(a.path),
        "b": str(b.path),
        "comparable": not reasons,
        "reasons": reasons,
        "rows": rows,
        "verdict": _verdict(rows, reasons),
    }


def render(comparison: dict[str, Any]) -> str:
    """The comparison as text for a terminal."""
    from tabulate import tabulate

    table = []
    for row in comparison["rows"]:
        cells = [row["stage"], f"p{row['percent']}", f"{row['a_us']:,.0f}", f"{row['b_us']:,.0f}"]
        if "difference_us" in row:
            low, high = row["interval_us"]
            share = row["difference_us"] / row["a_us"]
            cells += [f"{row['difference_us']:+,.0f}", f"{share:+.0%}", f"{low:+,.0f} to {high:+,.0f}"]
            cells.append("" if not row["differs"] else "slower" if row["difference_us"] > 0 else "faster")
        table.append(cells)
    names = ["stage, us", "", "A", "B", "B - A", "", f"{CONFIDENCE:.0%} interval", ""]
    lines = [f"A: {comparison['a']}", f"B: {comparison['b']}", ""]
    if table:
        width = max(map(len, table))
        alignment = ("left", "left", *("right",) * (min(width, 7) - 2), *("left",) * (width - 7))
        lines += [tabulate(table, names[:width], disable_numparse=True, colalign=alignment), ""]
    return "\n".join([*lines, comparison["verdict"]])


def _not_comparable(a: Run, b: Run) -> Iterator[str]:
    for field, name in _SAME.items():
        of_a, of_b = getattr(a.header, field), getattr(b.header, field)
        if of_a != of_b:
            values = "" if field.endswith("sha256") else f" ({of_a} against {of_b})"
            yield f"other {name}{values}"
    for name, run in (("A", a), ("B", b)):
        held_back_by = throttling_between(run.health)
        if held_back_by:
            yield f"{name} was throttled ({', '.join(held_back_by)})"
        frames = sum(window.frames for window in run.counted)
        if frames < LEAST_SAMPLES[99] or len(run.blocks) < LEAST_BLOCKS:
            yield (
                f"{name} is too short ({frames} frames; expected {LEAST_SAMPLES[99]} "
                f"and {LEAST_BLOCKS} seconds at least)"
            )


def _difference(a: Run, b: Run, stage: str, percent: float, seed: int) -> dict[str, Any]:
    """The difference with its interval, by a bootstrap over pieces of time.

    Frames near in time are alike: drawn one by one they would promise far more than they know.
    """
    try:
        from scipy.stats import bootstrap
    except ImportError:
        raise LogError("compare needs scipy: run `make setup`, or install the extra `report`") from None
    blocks = [_blocks(run, stage) for run in (a, b)]
    numbers = sorted({number for side in blocks for histogram in side for number, _ in histogram.bins()})
    values_us = np.array([value_ns(number) / 1000 for number in numbers])
    counts_a, counts_b = (_counts(side, numbers) for side in blocks)

    def difference_us(drawn_a: Array, drawn_b: Array) -> float:
        """Of blocks that were drawn: indices, some more than once."""
        return _quantile(values_us, counts_b, drawn_b, percent) - _quantile(values_us, counts_a, drawn_a, percent)

    everything = (np.arange(len(counts_a)), np.arange(len(counts_b)))
    sides = zip((counts_a, counts_b), everything)
    found = bootstrap(
        everything,
        difference_us,
        n_resamples=_RESAMPLES,
        vectorized=False,
        method="percentile",
        confidence_level=CONFIDENCE,
        rng=np.random.default_rng(seed),
    )
    # Either side is known to 1 %, which is the log's grain.
    grain_us = RELATIVE_ERROR * sum(_quantile(values_us, counts, every, percent) for counts, every in sides)
    low, high = found.confidence_interval.low - grain_us, found.confidence_interval.high + grain_us
    return {
        "difference_us": difference_us(*everything),
        "interval_us": [float(low), float(high)],
        "differs": bool(low > 0 or high < 0),
    }


def _blocks(run: Run, stage: str) -> list[Histogram]:
    """The run in at most 100 pieces of time."""
    blocks = run.blocks
    edges = np.linspace(0, len(blocks), min(_MOST_BLOCKS, len(blocks)) + 1).round().astype(int)
    return [run.histogram(stage, blocks[first:last]) for first, last in zip(edges, edges[1:])]


def _counts(blocks: Sequence[Histogram], numbers: Sequence[int]) -> Array:
    """int64, shape (blocks, bins)."""
    column = {number: index for index, number in enumerate(numbers)}
    counts = np.zeros((len(blocks), len(numbers)), np.int64)
    for row, histogram in enumerate(blocks):
        for number, count in histogram.bins():
            counts[row, column[number]] = count
    return counts


def _quantile(values: Array, counts: Array, drawn: Array, percent: float) -> float:
    whole = np.bincount(drawn, minlength=len(counts)) @ counts
    return float(values[np.searchsorted(whole.cumsum(), percent / 100 * whole.sum())])


def _verdict(rows: Sequence[dict[str, Any]], reasons: Sequence[str]) -> str:
    if reasons:
        return f"Not comparable: {'; '.join(reasons)}."
    total = [row for row in rows if row["stage"] == "total"]
    clauses = []
    for row in total:
        low, high = row["interval_us"]
        clauses.append(
            f"p{row['percent']} {row['difference_us'] / 1000:+.2f} ms ({low / 1000:+.2f} to {high / 1000:+.2f})"
        )
    differing = [row for row in total if row["differs"]]
    slower = [row for row in differing if row["difference_us"] > 0]
    if not differing:
        word = "No difference that these runs can show"
    elif len(slower) == len(differing):
        word = "B is slower"
    else:
        word = "B is both slower and faster" if slower else "B is faster"
    return f"{word}: {', '.join(clauses)}."
