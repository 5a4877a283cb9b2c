"""Is everything there? Config, model and camera, some frames answered, and what they looked like: `check`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable, Iterable, Iterator, List, Optional

import cv2
import msgspec

from device.arrays import Array
from device.cameras.stream import without_password
from device.classifier import Classifier
from device.config import Config
from device.decision import Decision
from device.errors import CameraError
from device.frame import Frame, Result
from device.gray import to_gray
from device.loop import run
from device.sinks import LastResult

_LEAST_FRAMES = 10
# Of 800 photographs of clothing at 640x480, the darkest has a mean of 53 and the brightest of 206; the least sharp has
# a variance of 11.5, and none more than 3.7 once blurred by 5 pixels.
_DARK, _BRIGHT = 30, 225
_BLURRED = 6.0


class CheckReport(msgspec.Struct, frozen=True):
    """What `check --json` prints.

    source, camera: what was asked for, and what was opened. rate_hz: the camera's frames a second, None from a
    single picture. brightness: mean gray, 0 to 255. sharpness: variance of the Laplacian of the gray frame; it
    depends on what is seen, so compare it with that of the same scene. label, score: the best of the ten for
    the last frame; decision: the answer. advice: what to mend, [] when nothing looks wrong. picture: the file drawn.
    """

    config: str
    model: str
    model_sha256: str
    runtime: str
    source: str
    camera: str
    width_px: int
    height_px: int
    colour: bool
    frames: int
    rate_hz: Optional[float]  # noqa: UP045 - msgspec evaluates it, on Python 3.8 too
    brightness: float
    sharpness: float
    label: str
    score: float
    decision: str
    advice: List[str]
    picture: str


def watch(
    frames: Iterable[Frame], classifier: Classifier, *, seconds: float, clock: Callable[[], float] = time.monotonic
) -> tuple[Result, int, float | None]:
    """Answer frames for so long (exposure takes two seconds to settle), and ten at least where there are as many.

    Returns the last result, how many frames came and the camera's rate in Hz. Raises CameraError when none came.
    """
    first: Frame | None = None
    count = 0

    def counted() -> Iterator[Frame]:
        nonlocal first, count
        until = clock() + seconds
        for frame in frames:
            first = first or frame
            count += 1
            yield frame
            if clock() >= until and count >= _LEAST_FRAMES:
                return

    last = LastResult()
    run(counted(), classifier, Decision(classifier.card.unsure_below), [last])
    if last.result is None or first is None:
        raise CameraError("camera: gave no frame; check its cable")
    span_s = (last.result.frame.captured_ns - first.captured_ns) / 1e9
    steps = last.result.frame.sequence - first.sequence
    return last.result, count, steps / span_s if span_s > 0 else None


def describe(
    config: Config,
    config_path: str,
    classifier: Classifier,
    camera: str,
    watched: tuple[Result, int, float | None],
    picture: Path,
) -> CheckReport:
    """The report on what `watch` gave. camera: its description. picture: the file that was drawn."""
    result, frames, rate_hz = watched
    pixels = result.frame.pixels
    brightness, sharpness = brightness_of(pixels), sharpness_of(pixels)
    return CheckReport(
        config=config_path,
        model=classifier.card.name,
        model_sha256=classifier.card.sha256,
        runtime=str(classifier.runtime),
        source=without_password(config.camera.source),
        camera=camera,
        width_px=pixels.shape[1],
        height_px=pixels.shape[0],
        colour=pixels.ndim == 3,
        frames=frames,
        rate_hz=rate_hz,
        brightness=brightness,
        sharpness=sharpness,
        label=result.prediction.label,
        score=result.prediction.score,
        decision=result.decision,
        advice=advice_for(brightness, sharpness),
        picture=str(picture),
    )


def brightness_of(pixels: Array) -> float:
    """Mean gray of uint8 pixels, 0 to 255."""
    return float(to_gray(pixels).mean())


def sharpness_of(pixels: Array) -> float:
    """Variance of the Laplacian of uint8 pixels: high where edges are sharp."""
    return float(cv2.Laplacian(to_gray(pixels), cv2.CV_32F).var())


def advice_for(brightness: float, sharpness: float) -> list[str]:
    """What a person should mend before trusting an answer, only where it is beyond doubt."""
    advice = []
    if brightness < _DARK:
        advice.append("the picture is nearly black: take the lens cap off, or put more light on the garment")
    if brightness > _BRIGHT:
        advice.append("the picture is nearly white: keep lamps and windows out of the frame")
    if sharpness < _BLURRED:
        advice.append("nothing in the picture is sharp: focus the lens, clean it, and show it something")
    return advice


def render(report: CheckReport) -> str:
    """The report for people."""
    rate = f"{report.rate_hz:.1f} frames/s" if report.rate_hz else "one picture"
    lines = [
        f"config:  {report.config or 'none, defaults'}",
        f"model:   {report.model} ({report.model_sha256[:12]}) in {report.runtime}",
        f"camera:  {report.camera}",
        f"frames:  {report.width_px}x{report.height_px} {'colour' if report.colour else 'gray'}, {rate}",
        f"picture: brightness {report.brightness:.0f} of 255, sharpness {report.sharpness:.0f} ({report.picture})",
        f"answer:  {report.decision} (best {report.label} {report.score:.2f})",
        *(f"advice:  {advice}" for advice in report.advice),
    ]
    return "\n".join(lines)
