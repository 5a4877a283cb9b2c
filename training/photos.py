"""Labelled photographs: images and a photos.csv that names class and contributor of each, or a folder a class.

`training.clothing_dataset` makes the former of the public ones.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from device.errors import CameraError, DataError
from device.images import images_in, read_image
from device.labels import LABELS

NONE = "none"
"""A photograph of none of the ten; it teaches refusal."""
FOOTWEAR = "footwear"
"""A shoe whose kind is unknown: it counts as any of Sandal, Sneaker and Ankle boot, and is left out of scores."""
TARGETS = (*LABELS, NONE, FOOTWEAR)
USUAL_FOLDER = Path("data/photos")
TABLE = "photos.csv"


class Photo(NamedTuple):
    """One photograph. target: index into TARGETS. contributor: who took it, "" when unknown."""

    path: Path
    target: int
    contributor: str


def find_photos(named: str) -> Path:
    """The folder that config.yaml or the command line names, else the usual one. Raises DataError."""
    folder = Path(named) if named else USUAL_FOLDER
    if folder.is_dir():
        return folder
    raise DataError(
        f"photographs: no folder {folder}; run `make photos`, which fetches the public ones, or "
        "name a folder of yours that has a sub-folder a class with --photos"
    )


def load_photos(folder: Path) -> list[Photo]:
    """All photographs of `folder`: its photos.csv, or its sub-folders named after classes.

    Every problem is reported at once. Raises DataError.
    """
    table = folder / TABLE
    photos, problems = _from_csv(table) if table.is_file() else _from_folders(folder)
    missing = [photo.path for photo in photos if not photo.path.is_file()]
    problems += [f"{path}: missing" for path in missing]
    if problems:
        shown = "\n".join(problems[:10])
        more = f"\n... and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise DataError(f"{folder}: {len(problems)} problem(s):\n{shown}{more}")
    if not photos:
        raise DataError(f"{folder}: no photographs; expected photos.csv, or sub-folders named after classes")
    return photos


def readable(photos: Sequence[Photo]) -> list[Photo]:
    """Those whose files can be decoded. Raises DataError that names and counts the others."""
    problems = []
    for photo in photos:
        try:
            read_image(photo.path)
        except CameraError as error:
            problems.append(str(error))
    if problems:
        raise DataError(f"{len(problems)} of {len(photos)} photographs cannot be read:\n" + "\n".join(problems[:10]))
    return list(photos)


def split_by_contributor(
    photos: Sequence[Photo], share: float = 0.16, largest: int = 250
) -> tuple[list[Photo], list[Photo]]:
    """(training, validation): whole contributors, about `share` of the photographs in validation.

    By contributor, never by photograph: one person's photographs share a background. The order comes from a
    hash of the contributor's name, so it is the same everywhere and more photographs do not reshuffle it.
    Contributors of more than `largest` photographs train. Photographs without contributor are split one by one.
    """
    keys = [photo.contributor or str(photo.path) for photo in photos]
    counts = Counter(keys)
    held_out: set[str] = set()
    total = 0
    for key in sorted(counts, key=lambda key: hashlib.sha256(f"0:{key}".encode()).hexdigest()):
        if counts[key] <= largest and total < share * len(photos):
            held_out.add(key)
            total += counts[key]
    validation = [photo for photo, key in zip(photos, keys, strict=True) if key in held_out]
    return [photo for photo, key in zip(photos, keys, strict=True) if key not in held_out], validation


def _from_csv(table: Path) -> tuple[list[Photo], list[str]]:
    """Columns image, target (one of TARGETS) and, where known, contributor."""
    photos, problems = [], []
    with table.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        columns = set(rows.fieldnames or [])
        if not {"image", "target"} <= columns:
            return [], [f"{table}: expected the columns image, contributor, target; found {', '.join(sorted(columns))}"]
        for line, row in enumerate(rows, start=2):
            target = row["target"]
            if target not in TARGETS:
                problems.append(f"{table}:{line}: unknown class {target!r}; {_known()}")
                continue
            image = row["image"] or ""
            path = table.parent / "images" / (image if image.endswith(".jpg") else f"{image}.jpg")
            photos.append(Photo(path, TARGETS.index(target), row.get("contributor") or ""))
    return photos, problems


def _from_folders(folder: Path) -> tuple[list[Photo], list[str]]:
    """Sub-folders named after TARGETS; "T-shirt/top" may be T-shirt, T-shirt_top or t-shirt-top."""
    names = {_plain(target): number for number, target in enumerate(TARGETS)} | {"t-shirt": 0}
    photos, problems = [], []
    for child in sorted(path for path in folder.iterdir() if path.is_dir()):
        if _plain(child.name) not in names:
            problems.append(f"{child}: unknown class; {_known()}")
            continue
        photos += [Photo(path, names[_plain(child.name)], "") for path in images_in(child)]
    return photos, problems


def _plain(name: str) -> str:
    return name.lower().replace("/", "-").replace("_", "-").replace(" ", "-")


def _known() -> str:
    return f"expected one of {', '.join(TARGETS)}"


def count_targets(photos: Iterable[Photo]) -> dict[str, int]:
    """Target name -> number of photographs."""
    counts = Counter(photo.target for photo in photos)
    return {name: counts.get(number, 0) for number, name in enumerate(TARGETS)}
