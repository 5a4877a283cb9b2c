"""Draws the live view's page, as Chromium shows it, into a PNG: `make view-picture`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from browser import browser
from conftest import SHIPPED_MODEL  # It also puts the checkout on the path.
from device.cameras.synthetic import SyntheticCamera
from device.classifier import Classifier
from device.config import CameraConfig, ViewConfig
from device.decision import Decision
from device.frame import Frame
from device.loop import run
from device.sinks import LastResult
from device.view.live import LiveView

LEAST_FRAMES = 250


def main(path: Path) -> None:
    # Few pictures a second: a browser without a graphics card would take the processor that the figures are of.
    camera = SyntheticCamera(CameraConfig(frame_rate_hz=20))
    classifier = Classifier(SHIPPED_MODEL)
    last = LastResult()

    def until_right() -> Iterator[Frame]:
        for frame in camera:
            yield frame
            result = last.result
            if frame.sequence > LEAST_FRAMES and result and result.decision == frame.truth == result.prediction.label:
                return

    config = ViewConfig(port=0, max_rate_hz=2)
    view = LiveView(config, source=camera.description, model=classifier.card.name)
    with view, browser(1240, 768) as driver:
        driver.get(view.address)
        run(until_right(), classifier, Decision(classifier.card.unsure_below, 0.3, 0.15), [view, last], warmup_s=1)
        time.sleep(1)  # For the last frame to be drawn; a second later it would be called stale.
        path.parent.mkdir(parents=True, exist_ok=True)
        driver.save_screenshot(str(path))
    print(f"picture: {path}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
