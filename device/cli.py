"""`python -m device`: run, classify, report, check."""

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
from device.errors import CameraError, GarmentcamError

DEFAULT_CONFIG = Path("config.yaml")


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
    run.add_argument("--view", action="store_true", help="show it in a browser, at the address printed (view.enabled)")
    run.set_defaults(command=_run)

    classify = commands.add_parser("classify", help="answer image files, each as one camera frame")
    classify.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    classify.add_argument("--json", action="store_true", help="one JSON object a line")
    classify.set_defaults(command=_classify)

    report = commands.add_parser("report", help="percentiles, picture and verdict of a latency log")
    report.add_argument("log", type=Path, metavar="LOG")
    report.add_argument("--json", action="store_true", help="the report as one JSON object")
    report.add_argument("--picture", type=Path, metavar="PNG", help="where to draw (default: LOG with .png)")
    report.set_defaults(command=_report)

    check = commands.add_parser("check", help="test config, model and camera; answer one frame")
    check.add_argument("--source", help="camera URI (camera.source)")
    check.add_argument("--picture", type=Path, metavar="PNG", default=Path("check.png"))
    check.set_defaults(command=_check)

    for command in (run, classify, check):
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
    if getattr(options, "view", False):
        config = msgspec.structs.replace(config, view=msgspec.structs.replace(config.view, enabled=True))
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
    from device.latency import LatencyLog
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
        latency = stack.enter_context(LatencyLog(directory, header, flush_s=config.log.flush_s))
        view = _open_view(config, camera.description, classifier.card.name, stack)
        signals = stack.enter_context(_closing_on_signals(camera))
        print(f"{camera.description}\n{header.model} ({header.model_sha256[:12]}) in {header.runtime}")
        progress = stack.enter_context(Progress(options.frames or camera.frame_count))
        sinks = (latency, AnswerPrinter(progress.write), progress, last, score, *view)
        frames = itertools.islice(camera, options.frames)
        run(frames, classifier, decision, sinks, warmup_s=config.log.warmup_s)
        latency.ended = "signal" if signals else "frames" if options.frames == latency.frames else "source"
    return _summary(latency.path, last, score, options.picture)


def _open_view(config: Config, source: str, model: str, stack: contextlib.ExitStack) -> list[Any]:
    """The live view as a list of sinks, empty where it is off."""
    if not config.view.enabled:
        return []
    from device.view.live import LiveView

    view = stack.enter_context(LiveView(config.view, source=source, model=model))
    print(f"live view: {view.address}" + (" (asks for view.token once)" if config.view.token else ""))
    return [view]


def _summary(log_path: Path, last: Any, score: Any, picture_path: Path | None) -> int:
    from device.images import write_image
    from device.latency import read_log
    from device.picture import draw_result
    from device.report import render, summarize

    print("\n" + render(summarize(read_log(log_path))))
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
    from device.latency import new_header
    from device.machine import machine_name

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
    from device.latency import read_log
    from device.report import draw, render, summarize

    read = read_log(options.log)
    summary = summarize(read)
    print(msgspec.json.encode(summary).decode() if options.json else render(summary))
    picture = options.picture or options.log.with_suffix(".png")
    try:
        draw(read, picture)
        message = f"picture: {picture}"
    except GarmentcamError as error:
        if options.picture:
            raise
        message = f"no picture: {error}"
    print(message, file=sys.stderr if options.json else sys.stdout)
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
