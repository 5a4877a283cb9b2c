"""`make halves PHOTOS=dir`, after `make train`: is a student that knows more people right more often about others?

What ships has gone on with the held-out people's photographs, so they cannot tell. Here the student goes on with one
half of these people and answers for the other, and the other way round: each photograph is answered by a student who
has not seen its contributor.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from device.arrays import Array
from device.errors import DataError, GarmentcamError
from device.labels import LABELS
from device.model_card import card_path, read_card
from training.calibration import accuracy_and_recall
from training.config import TrainingConfig, load_training_config
from training.data import Splits, load_fashion_mnist
from training.photos import Photo, find_photos, load_photos, readable, split_by_contributor
from training.render import render_views
from training.ship import int8_ranges, see
from training.train import NAMES, RUN, STUDENT, VALIDATED, claim, go_on, student_folder, taught, trained_teacher

HALVES = "halves"


def answers(
    splits: Splits, photos: Sequence[Photo], config: TrainingConfig, name: str, *, run: Path
) -> tuple[Array, Array, Array]:
    """Truth, the answers of the student before, and after it went on with the other half: int (n,), of all held out.

    The files are int8 and asked as a board asks them. Raises DataError where `make train` has not been.
    """
    _, held_out = split_by_contributor(photos)
    folder, validated = student_folder(run, name, config), run / VALIDATED / f"{name}.tflite"
    for file in (run / "targets.npy", folder / "grays.npy", folder / f"{STUDENT}.keras", validated):
        if not file.is_file():
            raise DataError(f"{file}: missing; this goes on from a training of yours: run `make train` first")
    claim(run, photos, config)
    halves = split_by_contributor(held_out, share=0.5)
    parts = [run / HALVES / str(number) for number in range(len(halves))]
    targets = [
        render_views(half, splits.train.images[:0], splits.train.labels[:0], config.seed + 2 + number, part)
        for number, (half, part) in enumerate(zip(halves, parts, strict=True))
    ]

    # From here on: TensorFlow, whose threads do not survive the forks above.
    import keras

    from training.export import export
    from training.gate import ask_all
    from training.student import joined

    known_targets = np.load(run / "targets.npy")
    teacher = cache(lambda: trained_teacher(run, known_targets, config))
    known = taught(run, folder, known_targets, teacher)
    ranges, card = int8_ranges(known.grays, splits, config.seed), read_card(card_path(validated))
    found = []
    for number, part in enumerate(parts):
        unlearnt = taught(part, folder / HALVES / str(number), targets[number], teacher, learnt=False)
        lessons = joined(known, unlearnt)
        seen = see(halves[1 - number])
        student = keras.models.load_model(folder / f"{STUDENT}.keras", compile=False)
        knows_more = go_on(
            student, lessons, splits.train, seen, name, config, folder / HALVES / str(number) / "student.npz"
        )
        exported = export(knows_more, "int8", part / f"{name}.tflite", card, ranges)
        before, after = (ask_all(path, seen.images)[0].logits.argmax(axis=1) for path in (validated, exported.path))
        found.append((seen.truth, before, after))
    truth, before, after = (np.concatenate(part) for part in zip(*found, strict=True))
    return truth, before, after


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m training.halves`. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.halves", description="Measure what learning from more people gains on others."
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: config.yaml, if there)")
    parser.add_argument(
        "--photos", default="", metavar="DIR", help="labelled photographs (default: training.photos_dir)"
    )
    parser.add_argument("--model", choices=NAMES, default="camera", help="of the zoo (default: %(default)s)")
    parser.add_argument("--run", type=Path, default=RUN, metavar="DIR", help="the training (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        config = load_training_config(options.config)
        photos = readable(load_photos(find_photos(options.photos or config.photos_dir)))
        truth, before, after = answers(load_fashion_mnist(config), photos, config, options.model, run=options.run)
    except GarmentcamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    garment = truth < len(LABELS)
    for what, given in (("before", before), ("after", after)):
        accuracy, recall = accuracy_and_recall(given, truth)
        print(f"{what}: accuracy {accuracy:.3f}, macro recall {recall:.3f}")
    right, then = (before == truth)[garment], (after == truth)[garment]
    print(f"of {garment.sum()} photographs {(~right & then).sum()} became right, {(right & ~then).sum()} wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())
