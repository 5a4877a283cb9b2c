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
from training.data import Split, Splits
from training.evaluate import evaluate, figures, main, robustness, write_report
from training.photos import TARGETS, Photo
from training.robustness import SPOILT, moved
from training.shop import stand_ins


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
    fashion = Split(images, labels)
    found = evaluate(Classifier(SHIPPED_MODEL), shop, Splits(fashion, fashion, fashion))
    values = figures(found)
    assert values["50 photographs, accuracy"] > 0.7
    assert values["10 photographs of none of the ten, answered unsure"] > 0.8
    assert values["200 Fashion-MNIST test images, accuracy"] > 0.85
    shop_figures = [value for name, value in values.items() if "stand-ins for shop pictures" in name]
    assert len(shop_figures) == 3
    assert min(shop_figures) > 0.6
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


def test_stand_ins_for_shop_pictures_are_garments_on_paper(garments):
    label, image = garments[0]
    photo = np.full((200, 150, 3), (60, 90, 120), np.uint8)
    photo[50:150, 40:110] = (200, 180, 30)
    empty = np.full((200, 150, 3), 90, np.uint8)
    truth = np.array([TARGETS.index(name) for name in ("T-shirt/top", "Coat", "none")])
    fashion = Split(image[np.newaxis], np.array([TARGETS.index(label)]))
    shown = stand_ins([photo, empty, photo], truth, fashion)
    flat, worn, product = shown.values()
    assert flat.truth.tolist() == worn.truth.tolist() == [TARGETS.index("T-shirt/top")]  # The empty one has none.
    assert product.truth.tolist() == fashion.labels.tolist()
    for stand_in in shown.values():
        (frame,) = stand_in.images
        assert frame.shape[:2] == (280, 280)
        assert frame[[0, 0, -1, -1], [0, -1, 0, -1]].min() > 150
    cloth, of_the_worn = (np.ptp(stand_in.images[0], axis=2) > 100 for stand_in in (flat, worn))
    assert cloth.mean() > of_the_worn.mean() > 0.03  # Beside a person it is smaller.
    back = cv2.resize(product.images[0], (36, 36), interpolation=cv2.INTER_AREA)[4:-4, 4:-4]
    assert np.corrcoef(back.ravel(), image.ravel())[0, 1] < -0.98


def test_wrong_truths_are_counted_as_wrong(shop):
    wrong = [photo._replace(target=(photo.target + 1) % 10) if photo.target < 10 else photo for photo in shop]
    black = Split(np.zeros((1, 28, 28), np.uint8), np.zeros(1, int))
    found = evaluate(Classifier(SHIPPED_MODEL), wrong, Splits(black, black, black))
    assert figures(found)["50 photographs, accuracy"] < 0.3


def test_missing_photographs_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert main(["--photos", str(tmp_path / "none")]) == 1
    assert "error: photographs: no folder" in capsys.readouterr().err
