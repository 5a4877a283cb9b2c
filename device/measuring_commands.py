"""The commands that measure and read what was measured: report, compare, bench."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Callable

import msgspec

from device.config import DEFAULT_CONFIG, Config
from device.errors import ConfigError, LogError, ModelError


def add_report_and_compare(commands: Any) -> None:
    """Add both to the subparsers `commands`."""
    report = commands.add_parser("report", help="percentiles, picture and verdict of latency logs")
    report.add_argument("logs", nargs="+", type=Path, metavar="LOG", help="a log, or a folder of them")
    formats = report.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="one JSON object a run and line")
    formats.add_argument("--csv", action="store_true", help="a line for each stage of each run")
    report.add_argument("--picture", type=Path, metavar="PNG", help="where to draw (default: LOG with .png)")
    report.set_defaults(command=_report)

    compare = commands.add_parser("compare", help="by how much two runs differ, and whether they can be compared")
    compare.add_argument("a", type=Path, metavar="A", help="a log, or a folder of one run")
    compare.add_argument("b", type=Path, metavar="B")
    compare.add_argument("--anyway", action="store_true", help="give the differences of runs that are not comparable")
    compare.add_argument("--json", action="store_true", help="the comparison as one JSON object")
    compare.set_defaults(command=_compare)


def add_bench(commands: Any, settings: Callable[[argparse.Namespace], Config]) -> argparse.ArgumentParser:
    """Add it to the subparsers `commands`. settings: options -> configuration."""
    bench: argparse.ArgumentParser = commands.add_parser(
        "bench", help="measure this board with every runtime and number of threads"
    )
    bench.add_argument("--source", help="camera URI; 40 frames of it are shown again and again (camera.source)")
    bench.add_argument(
        "--also", type=Path, action="append", default=[], metavar="TFLITE", help="measure this model, too; repeatable"
    )
    bench.add_argument("--quick", action="store_true", help="a few frames of each: to see that it works")
    bench.add_argument("--json", action="store_true", help="the figures as one JSON object")
    bench.add_argument("--apply", action="store_true", help="write model.runtime and model.threads into config.yaml")
    bench.set_defaults(command=lambda options: _bench(options, settings(options)))
    return bench


def _report(options: argparse.Namespace) -> int:
    from device.latency_read import find_runs
    from device.report import render, render_overview, summarize, to_csv
    from device.report_plots import draw

    runs = find_runs(options.logs)
    if options.picture and len(runs) > 1:
        raise LogError(f"--picture {options.picture}: {len(runs)} runs were named, expected one; leave it out")
    summaries = [summarize(run) for run in runs]
    if options.csv:
        print(to_csv(summaries), end="")
    for summary in summaries if not options.csv else ():
        print(msgspec.json.encode(summary).decode() if options.json else render(summary) + "\n")
    people = sys.stderr if options.json or options.csv else sys.stdout
    if len(summaries) > 1:
        print(render_overview(summaries), file=people)
    for run in runs:
        picture = options.picture or run.path.with_suffix(".png")
        try:
            draw(run, picture)
        except (LogError, OSError) as error:
            if options.picture:
                raise LogError(f"--picture {picture}: {error}") from None
            print(f"no picture: {error}", file=people)
            break
        print(f"picture: {picture}", file=people)
    return 0


def _compare(options: argparse.Namespace) -> int:
    from device.compare import compare, render
    from device.latency_read import find_runs

    runs = []
    for path in (options.a, options.b):
        found = find_runs([path])
        if len(found) != 1:
            raise LogError(f"{path}: {len(found)} runs in this folder; name one log")
        runs += found
    comparison = compare(*runs, anyway=options.anyway)
    print(msgspec.json.encode(comparison).decode() if options.json else render(comparison))
    return 0


def _bench(options: argparse.Namespace, config: Config) -> int:
    from tqdm import tqdm

    from device.bench import advice, measure_all, plan, render, summarize, usable_threads
    from device.config_edit import set_settings
    from device.health import HealthReader

    path = options.config or DEFAULT_CONFIG
    if options.apply and not path.exists():
        raise ConfigError(f"{path}: --apply changes a settings file, and there is none; name one with --config")
    jobs = plan(config, [config.folder / config.model.path, *options.also], usable_threads(), quick=options.quick)
    before = HealthReader().read()
    with tqdm(total=2 * len(jobs), unit="run", file=sys.stderr) as bar:
        rows = measure_all(jobs, after_each=bar.update)
    summary = summarize(rows, config, [before, HealthReader().read()])
    print(msgspec.json.encode(summary).decode() if options.json else render(summary))
    best = summary["recommended"]
    if best is None or (options.apply and summary["held_back_by"]):
        raise ModelError(advice(summary))
    if options.apply:
        set_settings(path, "model", {key: best[key] for key in ("runtime", "threads")})
        print(f"{path}: changed", file=sys.stderr)
    return 0
