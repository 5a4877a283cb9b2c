"""`python -m benchmarks`: measure all, write reports/bench.md, bench.json and bench.png."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Sequence

from benchmarks.pareto import draw_pareto
from benchmarks.readme import block, with_block
from benchmarks.report import render
from benchmarks.suite import FULL, QUICK, measure
from benchmarks.zoo import find_zoo
from device.config import ModelConfig
from device.errors import GarmentcamError
from device.machine import machine_name
from device.runtime import installed_runtimes


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure against what people use instead."
    )
    parser.add_argument(
        "--model", type=Path, default=Path(ModelConfig().path), metavar="TFLITE", help="default: what ships"
    )
    parser.add_argument(
        "--also", type=Path, action="append", metavar="TFLITE", help="another model; repeatable (default: all in runs/)"
    )
    parser.add_argument(
        "--mediapipe", metavar="PYTHON", help="a Python that has MediaPipe and Pillow, to measure it, too"
    )
    parser.add_argument(
        "--runtime",
        action="append",
        choices=installed_runtimes(),
        help="measure in this one; repeatable (default: all that are installed)",
    )
    parser.add_argument("--quick", action="store_true", help="a little of each, and no training: to see that it works")
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR")
    parser.add_argument(
        "--readme", type=Path, metavar="FILE", help="put the table between this file's bench marks, too"
    )
    options = parser.parse_args(arguments)
    effort = QUICK if options.quick else FULL
    load = os.getloadavg()[0]
    try:
        if options.readme:
            with_block(options.readme.read_text(), "")  # Before the minutes of measuring, not after them.
        also = find_zoo(Path("runs")) if options.also is None else options.also
        measured = measure(
            options.model.absolute(),
            [path.absolute() for path in also],
            options.runtime or installed_runtimes(),
            effort,
            options.mediapipe,
            lambda text: print(text, file=sys.stderr, flush=True),
        )
    except GarmentcamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    about = (
        f"`make bench`{' in quick mode' if options.quick else ''}, {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, "
        f"{machine_name()}, {os.cpu_count()} processors, load {load:.1f} before; the model "
        f"`{measured['cards'][str(options.model.absolute())]['name']}`."
    )
    options.out.mkdir(parents=True, exist_ok=True)
    text = render(measured, about)
    (options.out / "bench.md").write_text(text)
    (options.out / "bench.json").write_text(json.dumps({"about": about, **measured}))
    draw_pareto(measured, options.out / "bench.png")
    if options.readme:
        options.readme.write_text(with_block(options.readme.read_text(), block(measured, about)))
        shutil.copy(options.out / "bench.png", options.readme.parent / "docs" / "bench.png")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
