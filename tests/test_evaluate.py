"""`training.evaluate` measures what the board would answer."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import SHIPPED_MODEL
from device.classifier import Classifier
from training.data import Split
from training.evaluate import evaluate, main
from training.photos import TARGETS, Photo


@pytest.fixture(scope="module")
def shop(garments, tmp_path_factory: pytest.TempPathFactory) -> list[Photo]:
    """Fashion-MNIST's sample as product photographs on white, and ten empty frames as `none`."""
    folder = tmp_path_factory.mktemp("shop")
    photos = []
    for number, (label, image) in enumerate(garments[::4]):
        frame = np.full((480, 480), 255, np.uint8)
        frame[40:440, 40:440] = cv2.resize(255 - image, (400, 400), interpolation=cv2.INTER_CUBIC)
        photos.append(Photo(folder / f"{number}.png", TARGETS.index(label), ""))
        cv2.imwrite(str(photos[-1].path), frame)
    for number in range(10):
        photos.append(Photo(folder / f"none{number}.png", TARGETS.index("none"), ""))
        cv2.imwrite(str(photos[-1].path), np.full((480, 480), 25 * number, np.uint8))
    return photos


def test_the_shipped_model_knows_product_photographs_and_refuses_empty_frames(shop, garments):
    images = np.array([image for _, image in garments])
    labels = np.array([TARGETS.index(label) for label, _ in garments])
    figures = evaluate(Classifier(SHIPPED_MODEL), shop, Split(images, labels))
    assert figures["50 photographs of unseen people, accuracy"] > 0.7
    assert figures["10 photographs of none of the ten, answered unsure"] > 0.8
    assert figures["200 Fashion-MNIST test images, accuracy"] > 0.85


def test_wrong_truths_are_counted_as_wrong(shop):
    moved = [photo._replace(target=(photo.target + 1) % 10) if photo.target < 10 else photo for photo in shop]
    figures = evaluate(Classifier(SHIPPED_MODEL), moved, Split(np.zeros((1, 28, 28), np.uint8), np.zeros(1, int)))
    assert figures["50 photographs of unseen people, accuracy"] < 0.3


def test_missing_photographs_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert main(["--photos", str(tmp_path / "none")]) == 1
    assert "error: photographs: no folder" in capsys.readouterr().err
