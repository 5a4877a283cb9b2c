"""`python -m device`: run, classify, report, compare, bench, check, cameras."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any, Iterator, Sequence

import msgspec

from device.config import DEFAULT_CONFIG, Config, load_config
from device.errors import CameraError, GarmentcamError, LogError
from device.measuring_commands import add_bench, add_report_and_compare

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
    run.add_argument("--source", help="camera URI: csi://0, /dev/video0, rtsp://..., a file, ... (camera.source)")
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

    add_report_and_compare(commands)
    bench = add_bench(commands, _settings)

    check = commands.add_parser("check", help="test config, model and camera; answer some frames, draw the last")
    check.add_argument("--source", help="camera URI (camera.source)")
    check.add_argument("--json", action="store_true", help="what was found as one JSON object")
    check.add_argument("--picture", type=Path, metavar="PNG", default=Path("check.png"))
    check.set_defaults(command=_check)

    cameras = commands.add_parser("cameras", help="list the cameras that are there")
    cameras.add_argument("--json", action="store_true", help="one JSON array")
    cameras.set_defaults(command=_cameras)

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
    config = load_config(_config_path(options))
    if getattr(options, "source", None):
        config = msgspec.structs.replace(config, camera=msgspec.structs.replace(config.camera, source=options.source))
    if getattr(options, "view", False):
        config = msgspec.structs.replace(config, view=msgspec.structs.replace(config.view, enabled=True))
    if options.model:
        model = msgspec.structs.replace(config.model, path=str(options.model.absolute()))
        config = msgspec.structs.replace(config, model=model)
    return config


def _config_path(options: argparse.Namespace) -> Path | None:
    path: Path | None = options.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    return path


def _open_classifier(config: Config) -> Any:
    from device.classifier import Classifier

    return Classifier(config.folder / config.model.path, config.model.runtime, config.model.threads)


def _run(options: argparse.Namespace) -> int:
    import cv2

    from device.camera import is_live, live_camera, open_camera
    from device.decision import Decision
    from device.health import HealthMonitor, HealthReader
    from device.latency_log import LatencyLog
    from device.loop import run
    from device.motion import MotionGate
    from device.reconnect import Reconnecting
    from device.sinks import AnswerPrinter, LastResult, Progress, Score
    from device.systemd import ServiceNotifier

    # A frame is small: waking threads for it makes no answer faster, and takes more processor time.
    cv2.setNumThreads(1)
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
        health = stack.enter_context(HealthMonitor(HealthReader(disk=directory), config.log.health_s, latency.health))
        view = _open_view(config, header, health, stack)
        if is_live(config.camera.source):
            camera = stack.enter_context(Reconnecting(camera, lambda: live_camera(config.camera), on_gap=latency.gap))
        signals = stack.enter_context(_closing_on_signals(camera))
        print(f"{camera.description}\n{header.model} ({header.model_sha256[:12]}) in {header.runtime}")
        progress = stack.enter_context(Progress(options.frames or camera.frame_count))
        sinks = (latency, AnswerPrinter(progress.write), progress, last, score, ServiceNotifier(), *view)
        # Files are there to be answered frame by frame, whatever moves in them.
        gate = MotionGate(config.motion, latency.idle) if config.motion.rest and is_live(config.camera.source) else None
        frames = itertools.islice(camera, options.frames)
        taken = run(frames, classifier, decision, sinks, gate=gate, warmup_s=config.log.warmup_s)
        latency.ended = "signal" if signals else "frames" if taken == options.frames else "source"
    return _summary(latency.path, last, score, options.picture)


def _open_view(config: Config, header: Any, health: Any, stack: contextlib.ExitStack) -> list[Any]:
    """The live view as a list of sinks, empty where it is off."""
    if not config.view.enabled:
        return []
    from device.view.live import LiveView

    view = stack.enter_context(LiveView(config.view, source=header.source, model=header.model, health=health))
    print(f"live view: {view.address}" + (" (asks for view.token once)" if config.view.token else ""))
    return [view]


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
    import cv2
    import numpy

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
            "python": sys.version.split()[0],
            # Not from importlib.metadata, whose import alone takes as long as the first answer.
            **{module.__name__: module.__version__ for module in (numpy, cv2, msgspec)},
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


def _check(options: argparse.Namespace) -> int:
    from device.camera import is_live, open_camera
    from device.check import describe, render, watch
    from device.images import write_image
    from device.picture import draw_result

    config = _settings(options)
    classifier = _open_classifier(config)
    with open_camera(config.camera) as camera:
        watched = watch(camera, classifier, seconds=3.0 if is_live(config.camera.source) else 0.0)
        description = camera.description
    write_image(options.picture, draw_result(watched[0]))
    report = describe(config, str(_config_path(options) or ""), classifier, description, watched, options.picture)
    print(msgspec.json.encode(report).decode() if options.json else render(report))
    return 0


def _cameras(options: argparse.Namespace) -> int:
    from device.cameras.listing import find_cameras

    found = find_cameras()
    if options.json:
        print(msgspec.json.encode([camera._asdict() for camera in found]).decode())
        return 0
    for camera in found:
        print(f"{camera.source:14s} {camera.name} ({camera.driver})")
    if not found:
        print("no camera found; network cameras do not announce themselves: name one as rtsp://... or http://...")
    return 0
