"""Does a .tflite load and run, in each runtime, with the same answers? Each runtime in a process of its own.

Of its own, since a malformed model can crash a process from inside the runtime, and since tflite-runtime breaks in
a process that has imported TensorFlow. `python -m training.gate MODEL RUNTIME IMAGES ANSWER TIMED` is the child.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from device.arrays import Array
from device.classifier import Classifier, mean_of_crops
from device.errors import ModelError
from device.runtime import installed_runtimes

PACKAGES = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}
"""Runtime, as config.yaml names it -> package; in the order in which the board looks for them."""
_ROOT = Path(__file__).resolve().parent.parent


class Answer(NamedTuple):
    """What one runtime made of a model.

    package: the runtime's. logits: float32, shape (n, 10). p50_us: median of single images through
    `device.classifier`, back to back, microseconds; nan when none was timed.
    """

    package: str
    logits: Array
    p50_us: float


def runtimes_that_run(model_path: Path, images: Array) -> list[str]:
    """Packages of the runtimes that load the model, run it on `images` and agree.

    images: uint8, shape (n, 28, 28) or (n, k, 28, 28). Raises ModelError when an installed runtime does not, or none
    is installed.
    """
    return [answer.package for answer in ask_all(model_path, images)]


def ask_all(model_path: Path, images: Array, timed: int = 0) -> list[Answer]:
    """Every installed runtime's answer, the board's first choice first, once all agree. Arguments as `ask`.

    They must agree on every image. Of several crops of one frame, (n, k, 28, 28), the answer is the mean, as on boards.
    """
    answers = [ask(model_path, runtime, images, timed) for runtime in installed_runtimes()]
    if not answers:
        raise ModelError(f"{model_path}: no runtime to try it in; install {' or '.join(PACKAGES.values())}")
    first = answers[0]
    # Runtimes round differently in the last bit of eight: in int8, layer upon layer, a few steps of the output; in
    # dynamic range, a hundredth of what the activations span. A kernel that is wrong is off by far more.
    step = float(np.diff(np.unique(first.logits)).min(initial=np.inf))
    tolerance = max(4.5 * step if np.isfinite(step) else 0.0, 0.01 * float(np.ptp(first.logits)))
    for answer in answers:
        difference = float(np.abs(answer.logits - first.logits).max())
        if not difference <= tolerance:  # also where it is nan
            raise ModelError(
                f"{model_path}: {answer.package} and {first.package} differ by {difference:.3g} in a logit, "
                f"expected at most {tolerance:.3g}: do not ship it"
            )
    if images.ndim == 3:
        return answers
    return [answer._replace(logits=mean_of_crops(answer.logits, images.shape[1])) for answer in answers]


def ask(model_path: Path, runtime: str, images: Array, timed: int = 0) -> Answer:
    """One runtime's answer, from a child process. Raises ModelError, also when the child crashes.

    images: uint8, shape (n, 28, 28) or (n, k, 28, 28), of which every crop is answered by itself: logits (n * k, 10).
    timed: so many of them are also timed one by one.
    """
    with tempfile.TemporaryDirectory() as folder:
        images_path, answer_path = Path(folder, "images.npy"), Path(folder, "answer.npz")
        np.save(images_path, images)
        paths = [str(path) for path in (model_path.absolute(), images_path, answer_path)]
        command = [sys.executable, "-m", "training.gate", runtime, *paths, str(timed)]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["no message"]
            how = f"crashed with signal {-done.returncode}" if done.returncode < 0 else lines[-1]
            raise ModelError(f"{model_path}: does not run in {runtime}: {how}")
        with np.load(answer_path) as saved:
            logits = saved["logits"]
            return Answer(PACKAGES[runtime], logits, float(saved["p50_us"]))


def main(runtime: str, model_path: str, images_path: str, answer_path: str, timed: str) -> int:
    """The child. Returns the exit status."""
    images = np.load(images_path)
    try:
        classifier = Classifier(Path(model_path), runtime)
        times_ns = [_time(classifier, image) for image in images[: int(timed)]]
        logits = classifier.logits(images.reshape(-1, *images.shape[-2:])).astype(np.float32)
        if not np.isfinite(logits).all():
            raise ModelError("gives logits that are not finite numbers")
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    p50_us = float(np.median(times_ns)) / 1000 if times_ns else float("nan")
    np.savez(answer_path, logits=logits, p50_us=p50_us)
    return 0


def _time(classifier: Classifier, image: Array) -> int:
    """Monotonic nanoseconds of one image: uint8, shape (28, 28), or of its crops, (k, 28, 28)."""
    start = time.monotonic_ns()
    classifier(image)
    return time.monotonic_ns() - start


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
