"""The public photographs of clothing, fetched into a folder that training reads: `make photos`.

"Clothing dataset (full)" by Alexey Grigorev and contributors, CC0 (github.com/alexeygrigorev/clothing-dataset):
photographs that people took of their own clothes, with a class and who sent it. One commit of it is fetched, whose
name is the checksum of all files: git takes nothing that does not have it.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from device.errors import DataError, GarmentcamError
from training.photos import FOOTWEAR, NONE, TABLE, TARGETS, USUAL_FOLDER, count_targets, load_photos

REPOSITORY = "https://github.com/alexeygrigorev/clothing-dataset"
COMMIT = "08b50460cf229fd852bb6c11564e0959f52578ca"
SOURCE_CLASSES = {
    "T-Shirt": "T-shirt/top", "Polo": "T-shirt/top", "Undershirt": "T-shirt/top", "Top": "T-shirt/top",
    "Pants": "Trouser", "Longsleeve": "Pullover", "Hoodie": "Pullover", "Dress": "Dress", "Outwear": "Coat",
    "Blazer": "Coat", "Shirt": "Shirt", "Blouse": "Shirt", "Shoes": FOOTWEAR, "Shorts": NONE, "Skirt": NONE,
    "Hat": NONE, "Body": NONE,
}  # fmt: skip
"""The source's class -> what it stands for. Its others ("Not sure", "Other", "Skip") may be anything, so they go."""
_SHOE_KINDS = Path(__file__).with_name("shoe_kinds.csv")
"""Which kind the source's shoes are, told by eye; those that are not in it are of none of the three or unknown."""


def fetch(folder: Path, repository: str = REPOSITORY, commit: str = COMMIT) -> None:
    """`commit` of the data set in `folder`. What is there and whole is not fetched again. Raises DataError."""
    if shutil.which("git") is None:
        raise DataError(f"photographs: git is not installed; install it, or {_by_hand(folder)}")
    if not (folder / ".git").is_dir():
        if folder.exists() and any(folder.iterdir()):  # Somebody's own photographs, whose table would be lost.
            raise DataError(
                f"{folder}: not empty, and not from `make photos`; move it away, or name another with --out"
            )
        folder.mkdir(parents=True, exist_ok=True)
        _git(folder, "init", "--quiet")
    if not _has(folder, commit):
        _git(folder, "fetch", "--progress", "--depth=1", repository, commit)
    # By force: a picture that was damaged or deleted since comes back.
    _git(folder, "-c", "advice.detachedHead=false", "checkout", "--progress", "--force", commit)


def write_table(folder: Path) -> Counter[str]:
    """Write photos.csv from the source's images.csv. What is left out: the source's class or reason -> photographs.

    Raises DataError.
    """
    source = folder / "images.csv"
    if not source.is_file():
        raise DataError(f"{source}: missing; expected the data set's own table there")
    with _SHOE_KINDS.open(newline="", encoding="utf-8") as file:
        kinds = {row["image"]: row["target"] for row in csv.DictReader(file)}
    rows, left_out = [], Counter[str]()
    with source.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            target = kinds.get(row["image"]) or SOURCE_CLASSES.get(row["label"])
            if target is None:
                left_out[row["label"]] += 1
            elif not (folder / "images" / f"{row['image']}.jpg").is_file():
                left_out["without a picture"] += 1
            else:
                rows.append((row["image"], row["sender_id"], target))
    part = folder / f"{TABLE}.part"
    with part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "contributor", "target"), *rows])
    part.replace(folder / TABLE)
    return left_out


def _git(folder: Path, *arguments: str) -> None:
    """Its progress goes to the terminal. Raises DataError."""
    command = ["git", "-C", str(folder), *arguments]
    print("+ " + " ".join(command), flush=True)
    if status := subprocess.run(command).returncode:
        raise DataError(
            f"photographs: `{' '.join(command)}` ended with status {status}, see above; run `make photos` again, or "
            f"{_by_hand(folder)}"
        )


def _by_hand(folder: Path) -> str:
    return (
        f"put the data set's images.csv and images/ into {folder} by hand and run "
        f"`.venv/bin/python -m training.clothing_dataset --unpacked --out {folder}`"
    )


def _has(folder: Path, commit: str) -> bool:
    command = ["git", "-C", str(folder), "cat-file", "-e", f"{commit}^{{commit}}"]
    return subprocess.run(command, capture_output=True).returncode == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m training.clothing_dataset`. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.clothing_dataset", description="Fetch the public photographs of clothing (CC0)."
    )
    parser.add_argument("--out", type=Path, default=USUAL_FOLDER, metavar="DIR", help="where to (default: %(default)s)")
    parser.add_argument(
        "--unpacked", action="store_true", help="the data set lies there already: images.csv and images/; fetch nothing"
    )
    options = parser.parse_args(arguments)
    try:
        if not options.unpacked:
            fetch(options.out)
        left_out = write_table(options.out)
        photos = load_photos(options.out)
    except GarmentcamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    counts = count_targets(photos)
    print(f"{options.out}: {len(photos)} photographs of {len({photo.contributor for photo in photos})} people")
    print("  " + ", ".join(f"{target} {counts[target]}" for target in TARGETS if counts[target]))
    if left_out:
        print("left out: " + ", ".join(f"{reason} {count}" for reason, count in left_out.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
