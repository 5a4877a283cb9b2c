"""`python -m device`: run, classify, report, compare, bench, check."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import logging
import os
import platform
import signal
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Iterator, Sequence

import msgspec

from device.config import Config, load_config
from device.errors import CameraError, ConfigError, GarmentcamError, LogError, ModelError

DEFAULT_CONFIG = Path("config.yaml")
_LARGEST_SUMMED_UP_BYTES = 4_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status: 0, or 1 after `error: ...` on standard error."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    options = _parser().parse_args(arguments)
    try:
        status: int = options.command(options)
        sys.stdout.flush()
        return status
    except GarmentcamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # The reader, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m device", description="Say what garment a camera sees.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="answer frames until the source ends")
    run.add_argument("--source", help="camera URI: synthetic://, an image, a folder, a video (camera.source)")
    run.add_argument("--frames", type=_positive, metavar="N", help="stop after N frames")
    run.add_argument("--log", type=Path, metavar="DIR", help="folder of the latency log (log.directory)")
    run.add_argument("--picture", type=Path, metavar="PNG", help="at the end, draw the last answer into this file")
    run.add_argument("--seed", type=int, default=0, help="of synthetic:// (default 0)")
    run.add_argument(
        "--as-fast-as-possible", action="store_true", help="do not pace files and synthetic:// as a live camera would"
    )
    run.set_defaults(command=_run)

    classify = commands.add_parser("classify", help="answer image files, each as one camera frame")
    classify.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    classify.add_argument("--json", action="store_true", help="one JSON object a line")
    classify.set_defaults(command=_classify)

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

    check = commands.add_parser("check", help="test config, model and camera; answer one frame")
    check.add_argument("--source", help="camera URI (camera.source)")
    check.add_argument("--picture", type=Path, metavar="PNG", default=Path("check.png"))
    check.set_defaults(command=_check)

    bench = commands.add_parser("bench", help="measure this board with every runtime and number of threads")
    bench.add_argument("--source", help="camera URI; 40 frames of it are shown again and again (camera.source)")
    bench.add_argument(
        "--also", type=Path, action="append", default=[], metavar="TFLITE", help="measure this model, too; repeatable"
    )
    bench.add_argument("--quick", action="store_true", help="a few frames of each: to see that it works")
    bench.add_argument("--json", action="store_true", help="the figures as one JSON object")
    bench.add_argument("--apply", action="store_true", help="write model.runtime and model.threads into config.yaml")
    bench.set_defaults(command=_bench)

    for command in (run, classify, check, bench):
        command.add_argument("--config", type=Path, metavar="FILE", help="settings (default: config.yaml, if there)")
        command.add_argument("--model", type=Path, metavar="TFLITE", help="model file (model.path)")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {text}")
    return number


def _settings(options: argparse.Namespace) -> Config:
    """Defaults < config.yaml < command line."""
    config = load_config(options.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None))
    if getattr(options, "source", None):
        config = msgspec.structs.replace(config, camera=msgspec.structs.replace(config.camera, source=options.source))
    if options.model:
        model = msgspec.structs.replace(config.model, path=str(options.model.absolute()))
        config = msgspec.structs.replace(config, model=model)
    return config


def _open_classifier(config: Config) -> Any:
    from device.classifier import Classifier

    return Classifier(config.folder / config.model.path, config.model.runtime, config.model.threads)


def _run(options: argparse.Namespace) -> int:
    from device.camera import open_camera
    from device.decision import Decision
    from device.health import HealthMonitor, HealthReader
    from device.latency_log import LatencyLog
    from device.loop import run
    from device.sinks import AnswerPrinter, LastResult, Progress, Score

    config = _settings(options)
    classifier = _open_classifier(config)
    decision = Decision(classifier.card.unsure_below, config.decision.smoothing_s, config.decision.hysteresis)
    directory = options.log or config.folder / config.log.directory
    last, score = LastResult(), Score()
    with contextlib.ExitStack() as stack:
        camera = stack.enter_context(
            open_camera(config.camera, paced=not options.as_fast_as_possible, seed=options.seed)
        )
        header = _header(config, camera.description, classifier)
        latency = stack.enter_context(LatencyLog(directory, header, config.log))
        stack.enter_context(HealthMonitor(HealthReader(disk=directory), config.log.health_s, latency.health))
        signals = stack.enter_context(_closing_on_signals(camera))
        print(f"{camera.description}\n{header.model} ({header.model_sha256[:12]}) in {header.runtime}")
        progress = stack.enter_context(Progress(options.frames or camera.frame_count))
        sinks = (latency, AnswerPrinter(progress.write), progress, last, score)
        frames = itertools.islice(camera, options.frames)
        run(frames, classifier, decision, sinks, warmup_s=config.log.warmup_s)
        latency.ended = "signal" if signals else "frames" if options.frames == latency.frames else "source"
    return _summary(latency.path, last, score, options.picture)


def _summary(log_path: Path, last: Any, score: Any, picture_path: Path | None) -> int:
    from device.images import write_image
    from device.latency_read import read_run
    from device.log_files import parts_of
    from device.picture import draw_result
    from device.report import render, summarize

    if sum(part.stat().st_size for _, part in parts_of(log_path) if part.exists()) > _LARGEST_SUMMED_UP_BYTES:
        print(f"\nsee: python -m device report {log_path}")  # A service that is stopped must end at once.
    else:
        try:
            print("\n" + render(summarize(read_run(log_path))))
        except LogError as error:  # The disk took nothing; the frames were answered all the same.
            print(f"\nno summary: {error}")
    if score.frames:
        print(
            f"\nright: {score.right_frames} of {score.frames} frames, "
            f"{score.right_garments} of {score.garments} garments (the answer shown last for each)"
        )
    if picture_path and last.result is not None:
        write_image(picture_path, draw_result(last.result))
        print(f"picture: {picture_path}")
    return 0


@contextlib.contextmanager
def _closing_on_signals(camera: Any) -> Iterator[list[int]]:
    """SIGTERM and Ctrl-C close the camera, so the loop ends in order. Yields the signals that came."""
    received: list[int] = []

    def close(number: int, _stack: Any) -> None:
        received.append(number)
        camera.close()

    before = {number: signal.signal(number, close) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _header(config: Config, source: str, classifier: Any) -> Any:
    from device.machine import machine_name
    from device.records import new_header

    return new_header(
        source=source,
        model=classifier.card.name,
        model_sha256=classifier.card.sha256,
        preprocessing=classifier.card.preprocessing,
        runtime=str(classifier.runtime),
        threads=config.model.threads,
        config_sha256=config.sha256,
        machine=machine_name(),
        versions={
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("numpy", "opencv-python-headless", "msgspec")},
        },
    )


def _classify(options: argparse.Namespace) -> int:
    from device.decision import Decision
    from device.images import read_image
    from device.preprocess import preprocessing

    classifier = _open_classifier(_settings(options))
    preprocess = preprocessing(classifier.card.preprocessing)
    failed = 0
    for path in options.paths:
        try:
            prediction = classifier(preprocess(read_image(path)))
        except CameraError as error:
            failed += 1
            answer = {"path": str(path), "error": str(error)}
            text = f"{path}: error: {error}"
        else:
            decision = Decision(classifier.card.unsure_below)(prediction, 0)
            answer = {
                "path": str(path),
                "label": prediction.label,
                "score": round(prediction.score, 6),
                "scores": prediction.by_label(),
                "decision": decision,
            }
            text = f"{path}: {decision} (best {prediction.label} {prediction.score:.2f})"
        print(msgspec.json.encode(answer).decode() if options.json else text)
    if failed:
        print(f"error: {failed} of {len(options.paths)} files could not be read", file=sys.stderr)
    return 1 if failed else 0


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


def _bench(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from device.bench import advice, measure_all, plan, render, summarize
    from device.config_edit import set_settings
    from device.health import HealthReader

    config = _settings(options)
    path = options.config or DEFAULT_CONFIG
    if options.apply and not path.exists():
        raise ConfigError(f"{path}: --apply changes a settings file, and there is none; name one with --config")
    jobs = plan(config, [config.folder / config.model.path, *options.also], quick=options.quick)
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


def _check(options: argparse.Namespace) -> int:
    from device.camera import open_camera
    from device.decision import Decision
    from device.images import write_image
    from device.loop import run
    from device.picture import draw_result
    from device.sinks import LastResult

    config = _settings(options)
    classifier = _open_classifier(config)
    print(f"model: {classifier.card.name}, {classifier.card.size_bytes} bytes, in {classifier.runtime}")
    last = LastResult()
    with open_camera(config.camera) as camera:
        print(f"camera: {camera.description}")
        run(itertools.islice(camera, 1), classifier, Decision(classifier.card.unsure_below), [last])
    if last.result is None:
        raise CameraError(f"camera.source {config.camera.source}: gave no frame")
    height, width = last.result.frame.pixels.shape[:2]
    print(f"frame: {width}x{height}, answer: {last.result.decision} (best {last.result.prediction.label})")
    write_image(options.picture, draw_result(last.result))
    print(f"picture: {options.picture}")
    return 0
