"""`make train`: from Fashion-MNIST and photographs to device/models/model.tflite and its card.

Read top to bottom: views -> teacher -> labels -> student -> calibration -> the student goes on with everybody.
Each stage leaves its result in runs/camera/, and a stage that is done is not done again: after kill -9 the same
command goes on.

The student first learns without the people who are held out: that one is calibrated and measured. Then it goes on with
them, too, since it then knows more people, and ships. Its figures on photographs are those from before.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from device.arrays import Array
from device.errors import DataError, GarmentcamError
from device.preprocess import preprocessing
from training.config import TrainingConfig, load_training_config
from training.data import Split, Splits, load_fashion_mnist
from training.photos import Photo, find_photos, load_photos, readable, split_by_contributor
from training.render import render_views
from training.ship import (
    VIEW_PREPROCESSING,
    Figures,
    Validation,
    int8_ranges,
    keras_accuracy,
    see,
    ship,
    ship_everybody,
)
from training.train_report import write_report
from training.views import View

if TYPE_CHECKING:  # they import TensorFlow, for which it is too soon here
    import keras

    from training.student import Lessons

RUN = Path("runs/camera")
MODELS = Path("device/models")
REPORTS = Path("reports")
NAMES = ("camera", "tiny")
HELD_OUT = "held-out"
"""Folder of what is made of the held-out people's photographs."""
VALIDATED = "validated"
"""Folder of the files that were measured on them, which do not ship."""
STUDENT, EVERYBODY = "student", "everybody"
"""The file names of the student that was measured and of what became of it with the held-out people, too."""
_FURTHER_LEARNING_RATE = 225e-5  # A quarter of what training from nothing takes: it starts where that one ended.
_ROOT = Path(__file__).resolve().parent.parent


def train(
    splits: Splits, photos: Sequence[Photo], config: TrainingConfig, name: str, *, run: Path, folder: Path, models: Path
) -> Figures:
    """All stages for the zoo's model `name`; `camera` and `tiny` share views and teacher in `run`.

    folder: the student's, see `student_folder`. Returns the figures, which are also written to train.json there.
    """
    seed, fashion = config.seed, splits.train
    training_photos, held_out = split_by_contributor(photos)
    claim(run, photos, config)
    targets = render_views(training_photos, fashion.images, fashion.labels, seed, run)
    # Of the held-out people's photographs alone. Another seed, or the same camera would take view n here and there.
    later_targets = render_views(held_out, fashion.images[:0], fashion.labels[:0], seed + 1, run / HELD_OUT)

    # From here on: TensorFlow, whose threads do not survive the forks above.
    import keras

    from training.model import ZOO
    from training.student import joined

    keras.utils.set_random_seed(seed)
    teacher = cache(lambda: trained_teacher(run, targets, config))
    known = taught(run, folder, targets, teacher)
    seen, validated = see(held_out), run / VALIDATED / f"{name}.tflite"
    ranges = int8_ranges(known.grays, splits, seed)
    steps, further = steps_of(name, config)
    recipe = (
        f"training.train: teacher {config.camera.teacher_passes:g} passes, student {steps} steps, "
        f"{further} more with everybody"
    )

    keras.utils.set_random_seed(seed)
    student = learn(ZOO[name](), known, fashion, seen, seed=seed, steps=steps, file=folder / f"{STUDENT}.npz")
    measured = ship(student, ranges, seen, splits, recipe, seed=seed, path=validated, run=run)
    later = taught(run / HELD_OUT, folder / HELD_OUT, later_targets, teacher, learnt=False)
    everybody = go_on(student, joined(known, later), fashion, seen, name, config, folder / f"{EVERYBODY}.npz")
    figures = ship_everybody(everybody, ranges, splits, validated=validated, path=models / "model.tflite")
    (folder / "train.json").write_text(json.dumps({**measured, **figures}, indent=1) + "\n")
    return {**measured, **figures}


def trained_teacher(run: Path, targets: Array, config: TrainingConfig) -> keras.Model:
    """The teacher of the views in `run`, trained as far as it is not yet."""
    from training.teacher import train_teacher

    views = np.load(run / "views.npy", mmap_mode="r")
    passes = config.camera.teacher_passes
    return train_teacher(views, targets, passes=passes, seed=config.seed, file=run / "teacher.npz")


def learn(
    model: keras.Model, lessons: Lessons, fashion: Split, seen: Validation, *, seed: int, file: Path, **how: Any
) -> keras.Model:
    """The model once it has learnt, beside its checkpoint `file`. how: what else `train_student` takes."""
    from training.student import train_student

    student = train_student(
        model,
        lessons,
        fashion,
        preprocessing(VIEW_PREPROCESSING),
        seed=seed,
        file=file,
        watch=lambda model: keras_accuracy(model, seen),
        **how,
    )
    student.save(file.with_suffix(".keras"))
    return student


def go_on(
    student: keras.Model,
    lessons: Lessons,
    fashion: Split,
    seen: Validation,
    name: str,
    config: TrainingConfig,
    file: Path,
) -> keras.Model:
    """The student, which becomes what it is with the held-out people's views among its lessons."""
    _, steps = steps_of(name, config)
    # Of other blocks than before, or the first of them would come a second time.
    how = {"seed": config.seed + 1, "steps": steps, "peak_learning_rate": _FURTHER_LEARNING_RATE}
    return learn(student, lessons, fashion, seen, file=file, **how)


def taught(run: Path, folder: Path, targets: Array, teacher: Callable[[], Any], *, learnt: bool = True) -> Lessons:
    """What a student learns from the views in `run`. folder: where its copies of them lie. learnt: by the teacher."""
    from training.student import lessons
    from training.teacher import label_views

    views = np.load(run / "views.npy", mmap_mode="r")
    np.save(run / "targets.npy", targets)
    logits = _once(run / "teacher-logits.npy", lambda: label_views(teacher(), views))
    grays = _once(folder / "grays.npy", lambda: _shrink_views(views, np.load(run / "aspects.npy")))
    return lessons(grays, logits, None if learnt else targets)


def student_folder(run: Path, name: str, config: TrainingConfig) -> Path:
    """Where the student of this recipe lies. Another recipe, or other code for it, has another folder."""
    made_of = [name, config.seed, *steps_of(name, config)]
    code = ("device/locate.py", "device/preprocess.py", "training/student.py", "training/model.py", "training/muon.py")
    return run / f"{name}-{_digest(made_of, code)[:8]}"


def steps_of(name: str, config: TrainingConfig) -> tuple[int, int]:
    """Of the student, and how many more with everybody."""
    recipe = config.tiny if name == "tiny" else config.camera
    return recipe.student_steps, recipe.everybody_steps


def _shrink_views(views: Array, aspects: Array) -> Array:
    """uint8, shape (n, 72, 72): what the student's images are made of."""
    from training.student import located_gray

    bar = tqdm(zip(views, aspects, strict=True), desc="grays", total=len(views), unit="view", mininterval=2)
    return np.stack([located_gray(View(pixels, float(aspect))) for pixels, aspect in bar])


def _once(file: Path, make: Callable[[], Array]) -> Array:
    """The array in `file`; made and written, whole or not at all, when it is not there."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npy")
        np.save(part, make())
        part.replace(file)
    return np.load(file)


def claim(run: Path, photos: Sequence[Photo], config: TrainingConfig) -> None:
    """Note what the views and the teacher in `run` are made of; raises DataError when it holds others."""
    made_of = [config.seed, config.camera.teacher_passes, [(photo.path.name, photo.target) for photo in photos]]
    digest = _digest(made_of, [f"training/{name}.py" for name in ("compose", "views", "teacher", "efficientnet")])
    mark = run / "made-of.txt"
    if mark.exists() and mark.read_text() != digest:
        raise DataError(
            f"{run}: holds views of other photographs, another seed, teacher or version of the program; "
            "remove it or name another with --run"
        )
    run.mkdir(parents=True, exist_ok=True)
    mark.write_text(digest)


def _digest(facts: object, code: Sequence[str]) -> str:
    """Of the facts and of the source files that make something of them."""
    digest = hashlib.sha256(json.dumps(facts).encode())
    for file in code:
        digest.update((_ROOT / file).read_bytes())
    return digest.hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m training.train`. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description="Train the model that ships.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: config.yaml, if there)")
    parser.add_argument(
        "--photos", default="", metavar="DIR", help="labelled photographs (default: training.photos_dir)"
    )
    parser.add_argument("--model", choices=NAMES, default="camera", help="of the zoo (default: %(default)s)")
    parser.add_argument("--run", type=Path, default=RUN, metavar="DIR", help="checkpoints (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"the model (default: camera into {MODELS}, others into runs/NAME)"
    )
    options = parser.parse_args(arguments)
    out = options.out or (MODELS if options.model == "camera" else Path("runs", options.model))
    try:
        config = load_training_config(options.config)
        photos = readable(load_photos(find_photos(options.photos or config.photos_dir)))
        folder = student_folder(options.run, options.model, config)
        figures = train(
            load_fashion_mnist(config), photos, config, options.model, run=options.run, folder=folder, models=out
        )
        report = write_report(
            REPORTS / f"train-{options.model}.md",
            figures,
            teacher=options.run / "teacher.npz",
            student=folder / "student.npz",
        )
    except GarmentcamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, value in figures.items():
        print(f"{name}: {value:.4f}")
    print(f"written: {out / 'model.tflite'}, {out / 'model.json'}; report: {report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
