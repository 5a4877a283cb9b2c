"""The benchmark recipe, on small things; each TensorFlow job in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from device.model_card import read_card
from device.runtime import installed_runtimes
from test_training import python

TRAIN = """
import sys
from pathlib import Path
import numpy as np
from training.benchmark import augment, train
from training.config import BenchmarkRecipe
from training.data import Split, Splits

def some(count, seed):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    return Split(images, random.integers(0, 10, count, dtype=np.uint8))

splits = Splits(some(64, 1), some(20, 2), some(20, 3))
folder = Path(sys.argv[1])
for name, stop_after in [job.split(":") for job in sys.argv[2:]]:
    recipe = BenchmarkRecipe(epochs=3, batch_size=16)
    model, history = train(splits, recipe, 0, folder / f"{name}.npz", int(stop_after))
    assert len(history) == int(stop_after)
    np.save(folder / f"{name}-{stop_after}.npy", np.concatenate([weight.ravel() for weight in model.get_weights()]))

one, again, other = (augment(splits.train.images, np.random.default_rng(seed)) for seed in (5, 5, 6))
assert one.dtype == np.uint8 and one.shape == (64, 28, 28)
assert (one == again).all() and (one != other).any()
"""

EXPORT = """
import json, sys
from pathlib import Path
import numpy as np
from device.model_card import InputSpec
from training.export import draft_card, export
from training.model import benchmark, mirrored

draft = draft_card(
    "benchmark", input=InputSpec("float32", (1, 28, 28, 1), 1.0), preprocessing="cutout-1", unsure_below=0.5,
    trained_on="nothing", recipe="untrained", seed=0,
)
images = np.random.default_rng(1).integers(0, 256, (64, 28, 28), dtype=np.uint8)
print(json.dumps(export(mirrored(benchmark()), "int8", Path(sys.argv[1]), draft, images).loads_in))
"""

REPORT = """
import json, os, sys
from training.benchmark import write_report
os.chdir(sys.argv[2])
print(json.dumps(write_report(json.loads(sys.argv[1]))))
"""


def test_a_training_that_was_interrupted_ends_in_the_same_weights(tmp_path: Path):
    python(TRAIN, tmp_path, "whole:3", "cut:1")
    python(TRAIN, tmp_path, "cut:3")
    whole, first, resumed = (np.load(tmp_path / f"{name}.npy") for name in ("whole-3", "cut-1", "cut-3"))
    np.testing.assert_array_equal(whole, resumed)
    assert not np.array_equal(whole, first)


def test_the_file_of_the_recipe_is_under_200_kb_and_runs_everywhere(tmp_path: Path):
    path = tmp_path / "benchmark.tflite"
    output = python(EXPORT, path)
    assert path.stat().st_size <= 200 * 1024
    assert read_card(path.with_suffix(".json")).input.dtype == "uint8"
    assert len(json.loads(output.splitlines()[-1])) == len(installed_runtimes())


def test_a_report_says_what_fell_short(tmp_path: Path):
    figures = {
        "file": "benchmark.tflite",
        "accuracy": 0.9399,
        "validation_accuracy_keras": 0.95,
        "validation_accuracy_one_view": 0.949,
        "size_kb": 200.5,
        "parameters": 170_000,
        "p50_us_by_runtime": {"ai-edge-litert": 100.0},
        "epochs": 1,
        "training_minutes": 1.0,
        "machine": "a machine",
        "date": "2026-01-01",
    }
    output = python(REPORT, json.dumps(figures), tmp_path)
    assert json.loads(output.splitlines()[-1]) == [
        "test accuracy 0.9399, expected at least 0.94",
        "200.5 KB, expected at most 200",
    ]
    assert "Falls short" in (tmp_path / "reports" / "benchmark.md").read_text()
