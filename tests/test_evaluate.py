"""`training.evaluate` measures what the board would answer."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import SHIPPED_MODEL
from device.classifier import Classifier
from training.clips import frames, steadiness
from training.data import Split
from training.evaluate import evaluate, figures, main, robustness, write_report
from training.photos import TARGETS, Photo
from training.robustness import SPOILT, moved


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


def test_the_shipped_model_knows_product_photographs_and_refuses_empty_frames(shop, garments, tmp_path: Path):
    images = np.array([image for _, image in garments])
    labels = np.array([TARGETS.index(label) for label, _ in garments])
    found = evaluate(Classifier(SHIPPED_MODEL), shop, Split(images, labels))
    values = figures(found)
    assert values["50 photographs, accuracy"] > 0.7
    assert values["10 photographs of none of the ten, answered unsure"] > 0.8
    assert values["200 Fashion-MNIST test images, accuracy"] > 0.85
    assert values["50 hand-held clips, last answer right"] > 0.6
    assert robustness(found).keys() == SPOILT.keys()

    report = write_report(found, "the shipped model", shop, tmp_path)
    pictures = re.findall(r"\]\((\S+)\)", report.read_text())
    assert len(pictures) == 5
    assert all(cv2.imread(str(tmp_path / name)) is not None for name in pictures)


def test_spoilt_photographs_are_what_their_names_say():
    photo = np.full((120, 160, 3), 100, np.uint8)
    photo[40:80, 60:100] = 200
    spoilt = {name: spoil(photo) for name, spoil in SPOILT.items()}
    assert all(image.shape[:2] == photo.shape[:2] and image.dtype == np.uint8 for image in spoilt.values())
    assert spoilt["darker"].mean() < photo.mean() < spoilt["brighter"].mean()
    assert spoilt["noisier"].std() > photo.std() > spoilt["blurred"].std()
    assert spoilt["gray"].ndim == 2
    share = {
        side: (moved(photo, side=side)[..., 0] > 150).mean() / (photo[..., 0] > 150).mean() for side in (0.7, 0.35)
    }
    assert share == pytest.approx({0.7: 0.49, 0.35: 0.1225}, rel=0.2)
    rows, columns = np.nonzero(spoilt["shifted"][..., 0] > 150)
    assert (rows.mean(), columns.mean()) == pytest.approx((59.5 - 18, 79.5 + 24), abs=1)


def test_a_clip_moves_and_a_steady_answer_counts_from_when_it_came():
    photo = np.full((200, 150, 3), 90, np.uint8)
    photo[50:150, 40:110] = 220
    first, *_, last = frames(photo, seed=1)
    assert first.shape == (480, 640, 3)
    assert np.abs(first.astype(int) - last).mean() > 2

    class Script:
        """Answers as written, whatever it sees."""

        def __init__(self, answers: list[str]) -> None:
            self.answers = iter(answers)

        def __call__(self, prediction: object, captured_ns: int) -> str:
            return next(self.answers)

    script = ["unsure"] * 15 + ["Bag"] * 15 + ["Coat"] * 15 + ["Bag"] * 45
    found = steadiness(Classifier(SHIPPED_MODEL), [photo], ["Bag"], lambda: Script(script))
    assert found == (1, 1.0, 1.5, 3 / (3 / 60))


def test_wrong_truths_are_counted_as_wrong(shop):
    wrong = [photo._replace(target=(photo.target + 1) % 10) if photo.target < 10 else photo for photo in shop]
    found = evaluate(Classifier(SHIPPED_MODEL), wrong, Split(np.zeros((1, 28, 28), np.uint8), np.zeros(1, int)))
    assert figures(found)["50 photographs, accuracy"] < 0.3


def test_missing_photographs_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert main(["--photos", str(tmp_path / "none")]) == 1
    assert "error: photographs: no folder" in capsys.readouterr().err
