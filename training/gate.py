"""Does a .tflite load and run, in each runtime, with the same answers? Each runtime in a process of its own.

Of its own, since a malformed model can crash a process from inside the runtime, and since tflite-runtime
breaks in a process that has imported TensorFlow. `python -m training.gate MODEL RUNTIME IMAGES` is the child: it
writes the logits to standard output.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from device.arrays import Array
from device.errors import ModelError
from device.runtime import available_runtimes

PACKAGES = {"tflite-runtime": "tflite-runtime", "litert": "ai-edge-litert"}
"""Runtime, as config.yaml names it -> package."""


def runtimes_that_run(model_path: Path, images: Array, tolerance: float = 0.0) -> list[str]:
    """Packages of the runtimes that load the model, run it on `images` and agree.

    images: uint8, shape (n, 28, 28). tolerance: largest difference of a logit between runtimes. Raises
    ModelError when one of the runtimes that are installed does not.
    """
    answers = {name: _logits_in_child(model_path, name, images) for name in available_runtimes()}
    first_name, first = next(iter(answers.items()))
    for name, logits in answers.items():
        difference = float(np.abs(logits - first).max())
        if not np.isfinite(logits).all() or difference > tolerance:
            raise ModelError(
                f"{model_path}: {name} and {first_name} differ by {difference:.3g} in a logit, expected at most "
                f"{tolerance:.3g}: do not ship it"
            )
    return [PACKAGES[name] for name in answers]


def _logits_in_child(model_path: Path, runtime: str, images: Array) -> Array:
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file.name, images)
        command = [sys.executable, "-m", "training.gate", str(model_path), runtime, file.name]
        root = Path(__file__).resolve().parent.parent
        done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"ended with {done.returncode}"]
        raise ModelError(f"{model_path}: does not run in {runtime}: {lines[-1]}")
    return np.frombuffer(done.stdout, np.float32).reshape(len(images), -1)


def main(model_path: str, runtime: str, images_path: str) -> int:
    """The child. Returns the exit status."""
    from device.classifier import Classifier

    try:
        classifier = Classifier(Path(model_path).absolute(), runtime)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    sys.stdout.buffer.write(classifier.logits(np.load(images_path)).astype(np.float32).tobytes())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
