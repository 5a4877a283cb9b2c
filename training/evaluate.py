"""`make evaluate`: a .tflite with its card, through the device's own code, on what it was not trained on.

What ships has learnt from everybody: `make train` leaves what it was before that in runs/camera/validated/, and that
is the one to evaluate. Photographs of the validation contributors
(`training.photos.split_by_contributor`), the same photographs spoilt, hand-held clips of them, stand-ins for shop
photographs, and Fashion-MNIST's test set. Writes reports/evaluate.md with its pictures.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tabulate import tabulate
from tqdm import tqdm

from device.arrays import Array
from device.classifier import Classifier
from device.config import DecisionConfig
from device.decision import Decision
from device.errors import GarmentcamError
from device.images import read_image
from device.labels import LABELS
from device.machine import machine_name
from device.picture import beside
from device.preprocess import preprocessing
from training.calibration import accuracy_and_recall, calibration_error
from training.clips import Steadiness, steadiness
from training.config import load_training_config
from training.data import Splits, load_fashion_mnist
from training.photos import FOOTWEAR, NONE, TARGETS, Photo, find_photos, load_photos, split_by_contributor
from training.robustness import CLEAN, SPOILT
from training.shop import stand_ins

REPORTS = Path("reports")
_CLIPS = 60


class Answers(NamedTuple):
    """What the board says of n images.

    seen: uint8 (n, 28, 28) or (n, k, 28, 28), what the model saw. scores: float (n, 10). confidence: float (n,), what
    the decision looks at. truth: index into TARGETS, (n,).
    """

    seen: Array
    scores: Array
    confidence: Array
    truth: Array

    @property
    def best(self) -> Array:
        """Index of the best label, (n,)."""
        return self.scores.argmax(axis=1)

    @property
    def garment(self) -> Array:
        """Where the truth is one of the ten: bool (n,)."""
        return self.truth < len(LABELS)

    @property
    def right(self) -> Array:
        """Where the best label is the truth: bool (n,)."""
        return self.best == self.truth


class Evaluation(NamedTuple):
    """columns: name in SPOILT -> answers to the spoilt photographs. shop: stand-in -> answers. clips: None without
    photographs.

    all_seen: the model has learnt from all public photographs, so that of those it shows how well it remembers.
    """

    columns: Mapping[str, Answers]
    shop: Mapping[str, Answers]
    fashion: Answers
    clips: Steadiness | None
    unsure_below: float
    all_seen: bool


def evaluate(classifier: Classifier, photos: Sequence[Photo], fashion: Splits) -> Evaluation:
    """Ask the classifier everything. Shoes of unknown kind are left out."""
    scored = [photo for photo in photos if photo.target != TARGETS.index(FOOTWEAR)]
    truth = np.array([photo.target for photo in scored])
    pixels = [read_image(photo.path) for photo in scored]
    columns = {
        name: ask(classifier, [spoil(each) for each in pixels], truth)
        for name, spoil in tqdm(SPOILT.items(), desc="photographs", unit="column")
    }
    shop = {
        name: ask(classifier, frames.images, frames.truth)
        for name, frames in stand_ins(pixels, truth, fashion.validation).items()
        if frames.images
    }
    garments = [number for number, target in enumerate(truth) if target < len(LABELS)]
    filmed = garments[:: max(1, len(garments) // _CLIPS)][:_CLIPS]
    settings = DecisionConfig()
    clips = steadiness(
        classifier,
        [pixels[number] for number in filmed],
        [LABELS[truth[number]] for number in filmed],
        lambda: Decision(classifier.card.unsure_below, settings.smoothing_s, settings.hysteresis),
    )
    card = classifier.card
    answers = ask(classifier, fashion.test.images, fashion.test.labels)
    return Evaluation(columns, shop, answers, clips, card.unsure_below, card.validated_sha256 is not None)


def ask(classifier: Classifier, images: Sequence[Array] | Array, truth: Array) -> Answers:
    """Frames of any size through preprocessing and classifier, as the loop does."""
    preprocess = preprocessing(classifier.card.preprocessing)
    seen = np.stack([preprocess(image) for image in images])
    predictions = [classifier(image) for image in seen]
    return Answers(
        seen,
        np.array([each.scores for each in predictions]),
        np.array([each.confidence for each in predictions]),
        truth,
    )


def figures(found: Evaluation) -> dict[str, float]:
    """Name -> figure: shares 0..1, but for the two of clips that name their unit."""
    clean = found.columns[CLEAN]
    accuracy, recall = accuracy_and_recall(clean.best, clean.truth)
    garment, right, sure = clean.garment, clean.right, clean.confidence >= found.unsure_below
    losses = robustness(found)
    worst = min(losses, key=lambda name: losses[name])
    best = clean.scores.max(axis=1)
    photographs = "photographs" if found.all_seen else "photographs of unseen people"
    values = {
        f"{garment.sum()} {photographs}, accuracy": accuracy,
        "the same, macro recall": recall,
        "the same, expected calibration error": calibration_error(best[garment], right[garment]),
        "right answers that the decision keeps": _share(sure[garment & right]),
        f"{(~garment).sum()} photographs of {NONE} of the ten, answered unsure": _share(~sure[~garment]),
        f"robustness, accuracy of the worst column ({worst})": losses[worst],
        f"{len(found.fashion.truth):,} Fashion-MNIST test images, accuracy": float(found.fashion.right.mean()),
    }
    for name, each in found.shop.items():
        values[f"stand-ins for shop pictures: {len(each.truth):,} {name}, accuracy"] = float(each.right.mean())
    if found.clips:
        values[f"{found.clips.clips} hand-held clips, last answer right"] = found.clips.right_share
        values["the same, seconds to a right and stable label (median)"] = found.clips.seconds_to_right
        values["the same, changes of the shown label a minute"] = found.clips.changes_a_minute
    return values


def _share(flags: Array) -> float:
    """Mean of bool (n,); nan without any."""
    return float(flags.mean()) if len(flags) else float("nan")


def robustness(found: Evaluation) -> dict[str, float]:
    """Column -> accuracy."""
    return {name: accuracy_and_recall(each.best, each.truth)[0] for name, each in found.columns.items()}


def write_report(found: Evaluation, title: str, photos: Sequence[Photo], folder: Path) -> Path:
    """reports/evaluate.md and its pictures."""
    from training import plots

    clean = found.columns[CLEAN]
    scored = [photo for photo in photos if photo.target != TARGETS.index(FOOTWEAR)]
    plots.confusion(folder / "confusion.png", clean.truth, clean.best, title, TARGETS[: clean.truth.max() + 1])
    plots.coverage(
        folder / "coverage.png", clean.confidence[clean.garment], clean.right[clean.garment], found.unsure_below
    )
    plots.bars(folder / "robustness.png", robustness(found), "accuracy")
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(clean.garment))
    for name, wanted in (("right", True), ("wrong", False)):
        shown = chosen[clean.right[chosen] == wanted][:40]
        plots.pairs(
            folder / f"{name}.jpg",
            [(read_image(scored[n].path)[..., ::-1], beside(clean.seen[n])) for n in shown],
            [f"{TARGETS[clean.truth[n]]}" + ("" if wanted else f" → {LABELS[clean.best[n]]}") for n in shown],
        )
    rows = [[name, f"{value:.3f}"] for name, value in figures(found).items()]
    columns = [[name, f"{value:.3f}"] for name, value in robustness(found).items()]
    text = [
        f"# {title}",
        tabulate(rows, ["what", "figure"], tablefmt="github", disable_numparse=True),
        "## Robustness",
        tabulate(columns, ["the same photographs", "accuracy"], tablefmt="github", disable_numparse=True),
        "![accuracy by column](robustness.png)",
        "## Where it errs",
        "![confusion matrix](confusion.png)",
        "![accuracy against coverage](coverage.png)",
        "40 right and 40 wrong answers, drawn by lot: the photograph, and what the model saw.",
        "![right answers](right.jpg)",
        "![wrong answers](wrong.jpg)",
    ]
    path = folder / "evaluate.md"
    path.write_text("\n\n".join(text) + "\n")
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m training.evaluate`. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description="Measure a model.")
    parser.add_argument("--model", type=Path, default=Path("device/models/model.tflite"), metavar="TFLITE")
    parser.add_argument("--photos", default="", metavar="DIR", help="labelled photographs (training.photos_dir)")
    parser.add_argument("--out", type=Path, default=REPORTS, metavar="DIR", help="the report (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        config = load_training_config()
        _, held_out = split_by_contributor(load_photos(find_photos(options.photos or config.photos_dir)))
        classifier = Classifier(options.model)
        found = evaluate(classifier, held_out, load_fashion_mnist(config))
        card = classifier.card
        date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        title = f"{card.name} ({card.preprocessing}) in {classifier.runtime}, {machine_name()}, {date}"
        path = write_report(found, title, held_out, options.out)
    except GarmentcamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(title)
    rows = [[name, f"{value:.3f}"] for name, value in figures(found).items()]
    print(tabulate(rows, ["what", "figure"], disable_numparse=True))
    print(f"report: {path}")
    if found.all_seen:
        print("note: this file has learnt from all of the public photographs: of those, this is how well it remembers.")
        print("Its card has the figures of the one that has not, which `make train` leaves in runs/camera/validated.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
