"""What the loop costs beside preprocessing and inference: `python tests/overhead.py [FRAMES]`.

The whole loop of `python -m device run`, its sinks and its log, on frames that are ready, in processor time of the
loop's thread, so that what else the machine does counts little.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from device.camera import open_camera  # noqa: E402
from device.classifier import Classifier  # noqa: E402
from device.config import CameraConfig, LogConfig, ModelConfig  # noqa: E402
from device.decision import Decision  # noqa: E402
from device.latency_log import LatencyLog  # noqa: E402
from device.latency_read import read_run  # noqa: E402
from device.loop import run  # noqa: E402
from device.records import new_header  # noqa: E402
from device.sinks import AnswerPrinter, LastResult, Progress, Score  # noqa: E402

FRAME_US = 33_333


def main(frames: int) -> None:
    with open_camera(CameraConfig(), paced=False) as camera:
        ready = list(itertools.islice(camera, 60))
    classifier = Classifier(ROOT / ModelConfig().path)
    decision = Decision(classifier.card.unsure_below, 0.3, 0.15)
    names = ("source", "model", "model_sha256", "preprocessing", "runtime", "config_sha256", "machine")
    for title, raw_s in (("every frame recorded", 1e9), ("counted, the slowest recorded", 0.0)):
        with tempfile.TemporaryDirectory() as folder:
            header = new_header(**dict.fromkeys(names, ""), threads=1, versions={})
            with (
                LatencyLog(Path(folder), header, LogConfig(raw_s=raw_s, keep_free_mb=0)) as log,
                Progress(0) as progress,
            ):
                sinks = (log, AnswerPrinter(lambda line: None), progress, LastResult(), Score())
                again = (ready[number % 60] for number in range(frames))
                run(again, classifier, decision, sinks, warmup_s=0.5, clock=time.thread_time_ns)
            read = read_run(log.path)
        for percent in (50, 99):
            own = [read.histogram(stage).percentile_ns(percent) or 0.0 for stage in ("decision", "sinks")]
            total = read.histogram("total").percentile_ns(percent) or 0.0
            share = sum(own) / 1000 / FRAME_US
            print(
                f"{title}, p{percent}: {share:.2%} of a 33 ms frame "
                f"(decision {own[0] / 1000:.0f} us, sinks and log {own[1] / 1000:.0f} us, total {total / 1000:.0f} us)"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6000)
