"""`make evaluate`: a .tflite with its card, through the device's own code, on what it was not trained on.

Photographs of the validation contributors (`training.photos.split_by_contributor`) and Fashion-MNIST's test set. The
decision is the board's, a frame alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tabulate import tabulate

from device.arrays import Array
from device.classifier import Classifier
from device.decision import Decision
from device.errors import GarmentcamError
from device.frame import Prediction
from device.images import read_image
from device.labels import LABELS, UNSURE
from device.machine import machine_name
from device.preprocess import preprocessing
from training.calibration import accuracy_and_recall, calibration_error
from training.config import load_training_config
from training.data import Split, load_fashion_mnist
from training.photos import FOOTWEAR, NONE, TARGETS, Photo, find_photos, load_photos, split_by_contributor


def evaluate(classifier: Classifier, photos: Sequence[Photo], fashion: Split) -> dict[str, float]:
    """Name -> figure, each a share 0..1. Shoes of unknown kind are left out of the scores."""
    preprocess = preprocessing(classifier.card.preprocessing)
    scored = [photo for photo in photos if photo.target != TARGETS.index(FOOTWEAR)]
    truth = np.array([photo.target for photo in scored])
    predictions = [classifier(preprocess(read_image(photo.path))) for photo in scored]
    answers = _answers(predictions)
    garment = truth < len(LABELS)
    right = garment & (answers == truth)
    unsure = np.array([Decision(classifier.card.unsure_below)(each, 0) == UNSURE for each in predictions])
    scores = np.array([each.score for each in predictions])
    accuracy, recall = accuracy_and_recall(answers, truth)
    test = _answers([classifier(preprocess(image)) for image in fashion.images])
    return {
        f"{garment.sum()} photographs of unseen people, accuracy": accuracy,
        "the same, macro recall": recall,
        "the same, expected calibration error": calibration_error(scores[garment], right[garment]),
        "right answers that the decision keeps": float((~unsure[right]).mean()),
        f"{(~garment).sum()} photographs of {NONE} of the ten, answered unsure": float(unsure[~garment].mean()),
        f"{len(test):,} Fashion-MNIST test images, accuracy": float((test == fashion.labels).mean()),
    }


def _answers(predictions: Sequence[Prediction]) -> Array:
    return np.array([int(each.scores.argmax()) for each in predictions])


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m training.evaluate`. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description="Measure a model.")
    parser.add_argument("--model", type=Path, default=Path("device/models/model.tflite"), metavar="TFLITE")
    parser.add_argument("--photos", default="", metavar="DIR", help="labelled photographs (training.photos_dir)")
    options = parser.parse_args(arguments)
    try:
        config = load_training_config()
        _, held_out = split_by_contributor(load_photos(find_photos(options.photos or config.photos_dir)))
        classifier = Classifier(options.model)
        figures = evaluate(classifier, held_out, load_fashion_mnist(config).test)
    except GarmentcamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{classifier.card.name} ({classifier.card.preprocessing}) in {classifier.runtime} on {machine_name()}")
    print(
        tabulate([[name, f"{value:.3f}"] for name, value in figures.items()], ["what", "share"], disable_numparse=True)
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
