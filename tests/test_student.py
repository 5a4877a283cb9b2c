"""The student's training: it learns, and after kill -9 it goes on as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from test_training import ROOT

CHILD = """
import sys
from pathlib import Path
import keras
import numpy as np
from device.preprocess import stretch_1
from training import checkpoint, student
from training.data import Split
from training.model import tiny

student._BLOCK_STEPS = 15  # a checkpoint each 15 steps
rng = np.random.default_rng(0)
labels = rng.integers(0, 2, 400)
grays = np.zeros((400, 72, 72), np.uint8)
grays[labels == 0, 16:56, 28:44] = 255  # upright
grays[labels == 1, 28:44, 16:56] = 255  # lying
wanted = np.eye(11, dtype=np.float32)[labels]
fashion = Split(student.as_located(grays)[:, ::2, ::2].copy(), labels)
keras.utils.set_random_seed(1)
model = student.train_student(
    tiny(), student.Lessons(grays, wanted), fashion, stretch_1, steps=60, seed=1, file=Path(sys.argv[1]),
    watch=lambda model: float((model.predict(fashion.images, verbose=0).argmax(axis=1) == labels).mean()),
)
np.savez(sys.argv[2], *model.get_weights())
"""


def child(checkpoint: Path, weights: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CHILD, str(checkpoint), str(weights)], cwd=ROOT)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert child(folder / "student.npz", folder / "weights.npz").wait() == 0
    return folder


def test_it_learns_and_writes_down_how(whole: Path):
    from training.checkpoint import history

    entries = history(whole / "student.npz")
    assert len(entries) == 4
    assert entries[-1]["loss"] < entries[0]["loss"]
    assert entries[-1]["validation"] > 0.9
    assert all(entry["seconds"] > 0 for entry in entries)


def test_killed_it_goes_on_and_ends_with_the_same_weights(whole: Path, tmp_path: Path):
    file, weights = tmp_path / "student.npz", tmp_path / "weights.npz"
    process = child(file, weights)
    while not file.exists():
        assert process.poll() is None, "ended before its first checkpoint"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not weights.exists()
    assert child(file, weights).wait() == 0
    with np.load(whole / "weights.npz") as expected, np.load(weights) as found:
        for name in expected.files:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-5, err_msg=name)


LESSONS = """
import numpy as np
from training.photos import FOOTWEAR, TARGETS
from training.student import lessons

grays = np.zeros((2, 72, 72), np.uint8)
logits = np.zeros((2, 11), np.float32)
logits[0, TARGETS.index("Coat")] = 9  # it takes a shirt for a coat
logits[1, TARGETS.index("Sneaker")] = 9
taught = lessons(grays, logits).wanted
np.testing.assert_allclose(taught.sum(axis=1), 1, rtol=1e-5)
assert taught[0, TARGETS.index("Coat")] > 0.99, "what the teacher learnt it knows best"

targets = np.array([TARGETS.index("Shirt"), TARGETS.index(FOOTWEAR)])
both = lessons(grays, logits, targets).wanted
np.testing.assert_allclose(both.sum(axis=1), 1, rtol=1e-5)
shirt, coat = (both[0, TARGETS.index(name)] for name in ("Shirt", "Coat"))
assert 0.45 < coat < 0.55 and 0.45 < shirt < 0.55, "half the label, half the teacher"
assert both[1, TARGETS.index("Sneaker")] > 0.9, "a shoe of unknown kind is what the teacher takes it for"
"""


def test_the_label_counts_where_the_teacher_has_not_learnt():
    assert subprocess.run([sys.executable, "-c", LESSONS], cwd=ROOT, check=False).returncode == 0
