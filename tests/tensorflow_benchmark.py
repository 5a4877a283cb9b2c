"""The benchmark recipe: an interrupted training ends in the same weights; its augmentation keeps to bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs TensorFlow: run `make setup`")

from training.benchmark import augment, train, write_report
from training.config import BenchmarkRecipe
from training.data import Split, Splits

RECIPE = BenchmarkRecipe(epochs=3, batch_size=16)


def some(count: int, seed: int) -> Split:
    random = np.random.default_rng(seed)
    return Split(
        random.integers(0, 256, (count, 28, 28), dtype=np.uint8), random.integers(0, 10, count, dtype=np.uint8)
    )


SPLITS = Splits(some(64, 1), some(20, 2), some(20, 3))


def test_a_training_that_was_interrupted_ends_in_the_same_weights(tmp_path: Path):
    whole, history = train(SPLITS, RECIPE, 0, tmp_path / "whole.npz")
    train(SPLITS, RECIPE, 0, tmp_path / "cut.npz", stop_after=1)
    resumed, resumed_history = train(SPLITS, RECIPE, 0, tmp_path / "cut.npz")
    assert len(resumed_history) == len(history) == 3
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_augmentation_depends_on_its_seed_alone():
    images = SPLITS.train.images
    one, again, other = (augment(images, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert one.dtype == np.uint8
    assert one.shape == images.shape
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_the_file_of_the_recipe_is_under_200_kb_and_runs_everywhere(tmp_path: Path):
    from device.model_card import InputSpec
    from training.export import draft_card, export
    from training.gate import installed_runtimes
    from training.model import benchmark, mirrored

    draft = draft_card(
        "benchmark",
        input=InputSpec("float32", (1, 28, 28, 1), 1.0),
        preprocessing="cutout-1",
        unsure_below=0.5,
        trained_on="nothing",
        recipe="untrained",
        seed=0,
    )
    exported = export(mirrored(benchmark()), "int8", tmp_path / "benchmark.tflite", draft, SPLITS.train.images)
    assert exported.card.size_bytes <= 200 * 1024
    assert len(exported.loads_in) == len(installed_runtimes())


def test_a_report_says_what_fell_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
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
    assert write_report(figures) == [
        "test accuracy 0.9399, expected at least 0.94",
        "200.5 KB, expected at most 200",
    ]
    assert "Falls short" in Path("reports/benchmark.md").read_text()
