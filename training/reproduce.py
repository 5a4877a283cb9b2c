"""The article end to end: `python -m training.reproduce` (= `make reproduce`) writes reports/reproduce.md.

Keras: Flatten, Dense 128 relu, Dense 10 on pixels / 255; Adam; 10 epochs of batch 32; then .h5, .keras and .tflite of
four kinds, each tested on all 10,000 test images in one invoke of a resized interpreter.
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
from pathlib import Path
from typing import NamedTuple

import keras
import msgspec
import numpy as np
import tensorflow as tf

from device.arrays import Array
from device.errors import DataError, GarmentcamError
from device.labels import LABELS
from device.machine import machine_name
from device.model_card import InputSpec, Measurement, card_path, write_card
from device.preprocess import SIDE_PX
from training import plots
from training.config import MlpRecipe, TrainingConfig, load_training_config
from training.data import Splits, load_fashion_mnist
from training.export import KINDS, Exported, draft_card, export
from training.fit import Data, fit_resumable, make_repeatable
from training.gate import ask_all
from training.race import PIXEL_SCALE, compiled, race_in_child, scaled
from training.reproduce_report import Figures, Row, write_report

RUNS = Path("runs/reproduce")
REPORTS = Path("reports")
_INVOKES = 500
_COMMAND = "python -m training.reproduce"


class Trained(NamedTuple):
    """One seed's training. accuracy: of Keras, on the test set, 0..1."""

    model: keras.Model
    history: dict[str, list[float]]
    accuracy: float
    seed: int


def first_look(splits: Splits) -> None:
    """The article's first look at the data, as pictures."""
    images, labels = splits.train
    chosen = np.concatenate([np.flatnonzero(labels == label)[:5] for label in range(len(LABELS))])
    plots.image_grid(REPORTS / "samples.png", list(images[chosen]), [LABELS[label] for label in labels[chosen]])
    plots.image_with_colour_bar(REPORTS / "one-image.png", images[0], f"{LABELS[labels[0]]}: pixels 0..255")
    counts = {"train": np.bincount(splits.all_training.labels), "test": np.bincount(splits.test.labels)}
    plots.class_counts(REPORTS / "class-counts.png", counts)


def train_article(splits: Splits, recipe: MlpRecipe, seed: int) -> Trained:
    """The article's training, on all 60,000."""
    make_repeatable(seed)
    model = compiled()
    whole = splits.all_training
    train = Data(scaled(whole.images), whole.labels)
    test = Data(scaled(splits.test.images), splits.test.labels)
    # The article shows the test set in `fit`, where nothing is chosen by it; here it waits until the end.
    history = fit_resumable(
        model, train, None, epochs=recipe.epochs, batch_size=recipe.batch_size, seed=seed, folder=RUNS / f"seed-{seed}"
    )
    return Trained(model, history, float(model.evaluate(*test, verbose=0, batch_size=1000)[1]), seed)


def export_all(trained: Trained, calibration: Array) -> list[Exported]:
    """The four kinds, each with its card, each run in both runtimes."""
    draft = draft_card(
        "mlp",
        input=InputSpec("float32", (1, SIDE_PX, SIDE_PX), PIXEL_SCALE),
        preprocessing="cutout-1",
        unsure_below=0.5,
        trained_on="Fashion-MNIST, its 60,000 training images",
        recipe="training.reproduce: the article's",
        seed=trained.seed,
    )
    exported = []
    for kind in KINDS:
        print(f"export {kind} ...", flush=True)
        path = RUNS / "models" / f"mlp-{kind}.tflite"
        exported.append(export(trained.model, kind, path, draft, calibration))
    return exported


def measure(exported: Exported, splits: Splits, keras_accuracy: float) -> tuple[Row, Array]:
    """(the table's row, the class of each of the 10,000 test images, answered in one invoke); the card says it, too.

    In the runtime that the board takes first, in a process without TensorFlow.
    """
    first = ask_all(exported.path, splits.test.images, timed=_INVOKES)[0]
    answers = first.logits.argmax(axis=1)
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    found = Measurement("Fashion-MNIST test", "accuracy", float((answers == splits.test.labels).mean()), _COMMAND, date)
    write_card(msgspec.structs.replace(exported.card, measurements=[found]), card_path(exported.path))
    row = Row(
        file=exported.path.name,
        kind=exported.kind,
        accuracy=found.value,
        keras_accuracy=keras_accuracy,
        size_kb=round(exported.card.size_bytes / 1024, 3),
        p50_us=round(first.p50_us, 1),
        loads_in=exported.loads_in,
    )
    return row, answers


def reproduce(config: TrainingConfig) -> list[str]:
    """All of it. Returns what fell short, [] when nothing did."""
    recipe = config.mlp
    splits = load_fashion_mnist(config)
    print("first look: reports/samples.png, one-image.png, class-counts.png")
    first_look(splits)
    trained = [train_article(splits, recipe, config.seed + number) for number in range(recipe.seeds)]
    first = trained[0]
    (RUNS / "models").mkdir(parents=True, exist_ok=True)
    first.model.save(RUNS / "models" / "mlp.keras")
    first.model.save(RUNS / "models" / "mlp.h5")
    calibration = splits.train.images[:500]
    exported = export_all(first, calibration)
    _print_details(exported[0].path)
    measured = [measure(each, splits, first.accuracy) for each in exported]
    keras_answers = first.model.predict(scaled(splits.test.images), batch_size=1000, verbose=0).argmax(axis=1)
    print("timing the article's fit and the fast recipe ...", flush=True)
    figures = Figures(
        rows=[row for row, _ in measured],
        keras_accuracies=[each.accuracy for each in trained],
        h5_kb=(RUNS / "models" / "mlp.h5").stat().st_size / 1024,
        float32_agrees=int((measured[0][1] == keras_answers).sum()),
        race=race_in_child(),
        machine=f"{machine_name()}, {os.cpu_count()} cores",
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        versions=f"Python {platform.python_version()}, TensorFlow {tf.__version__}, Keras {keras.__version__}",
    )
    curves = {f"loss, seed {each.seed}": each.history["loss"] for each in trained}
    plots.training_curves(REPORTS / "training-curves.png", curves, "training loss")
    accuracies = {f"accuracy, seed {each.seed}": each.history["accuracy"] for each in trained}
    plots.training_curves(REPORTS / "training-accuracy.png", accuracies, "training accuracy")
    plots.confusion(REPORTS / "confusion.png", splits.test.labels, keras_answers, "mlp, Fashion-MNIST test")
    points = {row.kind: (row.size_kb, row.accuracy * 100) for row in figures.rows}
    plots.scatter(REPORTS / "size-accuracy.png", points, "file size, KB", "test accuracy, %")
    return write_report(REPORTS, figures)


def _print_details(path: Path) -> None:
    """As the article prints them."""
    interpreter = tf.lite.Interpreter(str(path))
    interpreter.allocate_tensors()
    for what, details in (("input", interpreter.get_input_details()), ("output", interpreter.get_output_details())):
        print(f"{path.name} {what}: shape {details[0]['shape']}, type {np.dtype(details[0]['dtype']).name}")
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], (10_000, 28, 28))
    interpreter.allocate_tensors()
    print(f"{path.name} resized: {interpreter.get_input_details()[0]['shape']}")


def main() -> int:
    """Command line. Returns the exit status."""
    try:
        missed = reproduce(load_training_config())
        print((REPORTS / "reproduce.md").read_text())
        if missed:
            raise DataError("the reproduction falls short:\n" + "\n".join(f"  {line}" for line in missed))
    except GarmentcamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
