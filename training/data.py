"""Fashion-MNIST: found, checked, read, split. `python -m training.data` fetches it where it is missing.

The data set: Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747; https://github.com/zalandoresearch/fashion-mnist
"""

import argparse
import contextlib
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from device.arrays import Array
from device.errors import DataError, GarmentcamError
from device.labels import LABELS
from training.config import TrainingConfig, load_training_config

MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
"""File -> MD5, from the data set's README."""

UNPACKED_MD5 = {
    "train-images-idx3-ubyte.gz": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte.gz": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte.gz": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte.gz": "15d484375f8d13e6eb1aabb0c3f46965",
}
"""File -> MD5 of what is in it. Debian strips name and time from the gzip headers, so its files have other MD5s.

With the name and 2017-08-31 10:50:06 (train) or :27 UTC (t10k) put back, they have the README's to the byte.
"""

DEBIAN_DIR = Path("/usr/share/datasets/fashion-mnist")
DEBIAN_PACKAGE = "dataset-fashion-mnist"
PROJECT_DIR = Path(__file__).resolve().parent.parent / "data" / "fashion-mnist"
SOURCES = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
"""The data set's public homes. The second is plain http: the MD5s are what is trusted."""

VALIDATION_SHARE = 0.1
VALIDATION_SEED = 20170825
"""Fixed, whatever the training's seed is: figures on validation stay comparable between runs."""


class Split(NamedTuple):
    """images: uint8, shape (n, 28, 28), bright garment on black. labels: uint8, shape (n,), 0..9."""

    images: Array
    labels: Array


class Splits(NamedTuple):
    """54,000 + 6,000 + 10,000 images. Train and validation together are the data set's training set."""

    train: Split
    validation: Split
    test: Split

    @property
    def all_training(self) -> Split:
        """The data set's own training set: train and validation, 60,000 images."""
        return Split(*(np.concatenate(pair) for pair in zip(self.train, self.validation, strict=True)))


def load_fashion_mnist(config: TrainingConfig) -> Splits:
    """Find, check and read the four files. Raises DataError that names what is missing or damaged."""
    folder = find_folder(config)
    if folder is None:
        raise DataError(f"Fashion-MNIST: not found (looked in {DEBIAN_DIR}, {PROJECT_DIR}); run `make data`")
    images, labels, *test = (_read_idx(folder / name) for name in MD5)
    return Splits(*split_validation(Split(images, labels)), Split(*test))


def split_validation(whole: Split) -> tuple[Split, Split]:
    """Split off the same 10 % of each class every time: (train, validation), each in the original order."""
    random = np.random.default_rng(VALIDATION_SEED)
    chosen = np.zeros(len(whole.labels), bool)
    for label in range(len(LABELS)):
        members = np.flatnonzero(whole.labels == label)
        chosen[random.permutation(members)[: round(len(members) * VALIDATION_SHARE)]] = True
    return Split(whole.images[~chosen], whole.labels[~chosen]), Split(whole.images[chosen], whole.labels[chosen])


def find_folder(config: TrainingConfig) -> Path | None:
    """The folder that holds all four files: the config's if it names one, else Debian's, else the project's.

    Raises DataError when the config names one that lacks files: another would be used behind the user's back.
    """
    if config.fashion_mnist_dir:
        folder = Path(config.fashion_mnist_dir)
        if missing := _missing(folder):
            raise DataError(f"training.fashion_mnist_dir {folder}: has no {', '.join(missing)}; {_remedy(folder)}")
        return folder
    return next((folder for folder in (DEBIAN_DIR, PROJECT_DIR) if not _missing(folder)), None)


def read_file(path: Path) -> bytes:
    """What is in the gz file, once that is known to be Fashion-MNIST's. Raises DataError."""
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; {_remedy(path.parent)}") from None
    try:
        content = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error):
        content = b""
    if hashlib.md5(content).hexdigest() != UNPACKED_MD5[path.name]:
        what = "not the data set's" if content else "truncated or damaged"
        raise DataError(
            f"{path}: {what}: expected MD5 {MD5[path.name]}, found {hashlib.md5(packed).hexdigest()} "
            f"({len(packed):,} bytes); {_remedy(path.parent)}"
        )
    return content


def fetch(config: TrainingConfig) -> Path:
    """Find the files, else install Debian's package, else download them. The folder, all files checked.

    Raises DataError.
    """
    folder = find_folder(config)
    if folder is None and _apt_install():
        folder = find_folder(config)
    if folder in (None, PROJECT_DIR):
        folder = PROJECT_DIR
        download(folder)  # also what is there and damaged
    for name in MD5:
        read_file(folder / name)
    return folder


def download(folder: Path, sources: Sequence[str] = SOURCES) -> None:
    """Download what `folder` lacks, each file from the first source that has it, whole and right or not at all.

    An interrupted download goes on where it stopped. Raises DataError.
    """
    for name in MD5:
        _download(name, folder, sources)


def _missing(folder: Path) -> list[str]:
    return [name for name in MD5 if not (folder / name).is_file()]


def _remedy(folder: Path) -> str:
    """What to do about a missing or damaged file in `folder`."""
    if folder == DEBIAN_DIR:
        return f"reinstall it with `apt-get install --reinstall {DEBIAN_PACKAGE}`"
    if folder == PROJECT_DIR:
        return "run `make data`, which downloads it again"
    return 'put the original file there, or set training.fashion_mnist_dir in config.yaml to "" and run `make data`'


def _read_idx(path: Path) -> Array:
    """The array of an IDX file of unsigned bytes (http://yann.lecun.com/exdb/mnist/), gzipped."""
    content = read_file(path)
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()


def _apt_install() -> bool:
    """Install Debian's package where that is allowed (root) and possible. Whether it worked."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    command = ["apt-get", "install", "--yes", "--no-install-recommends", DEBIAN_PACKAGE]
    print("+ " + " ".join(command), flush=True)
    return subprocess.run(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}).returncode == 0


def _download(name: str, folder: Path, sources: Sequence[str]) -> None:
    path, part = folder / name, folder / f"{name}.part"
    with contextlib.suppress(DataError):
        read_file(path)
        return
    folder.mkdir(parents=True, exist_ok=True)
    problems = []
    for source in sources:
        try:
            _transfer(source + name, part)
        except (OSError, urllib.error.URLError) as error:
            problems.append(f"{source + name}: {getattr(error, 'reason', error)}")
            continue
        found = hashlib.md5(part.read_bytes()).hexdigest()
        if found == MD5[name]:
            part.replace(path)
            return
        part.unlink()  # Nothing in it can be trusted, so nothing is resumed from it.
        problems.append(f"{source + name}: expected MD5 {MD5[name]}, found {found}")
    raise DataError(
        f"{name}: cannot be downloaded:\n  "
        + "\n  ".join(problems)
        + f"\ncopy the four files into {folder} by hand, or install Debian's package {DEBIAN_PACKAGE}"
    )


def _transfer(url: str, part: Path) -> None:
    """Append what `part` still lacks of `url` to it, with a progress bar. Raises OSError."""
    from tqdm import tqdm

    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with contextlib.ExitStack() as stack:
        try:
            response = stack.enter_context(urllib.request.urlopen(request, timeout=30))
        except urllib.error.HTTPError as error:
            if error.code == 416:  # Nothing is left to send: the MD5 will tell whether it is right.
                return
            raise
        resumed = response.status == 206
        total = int(response.headers.get("Content-Length", 0)) + (have if resumed else 0)
        file = stack.enter_context(part.open("ab" if resumed else "wb"))
        bar = stack.enter_context(
            tqdm(total=total or None, initial=have if resumed else 0, unit="B", unit_scale=True, desc=part.stem)
        )
        while block := response.read(1 << 16):
            file.write(block)
            bar.update(len(block))


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m training.data`: fetch what is missing and say where it lies. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.data", description="Find or fetch Fashion-MNIST.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: config.yaml, if there)")
    options = parser.parse_args(arguments)
    try:
        print(f"Fashion-MNIST: {fetch(load_training_config(options.config))} (4 files, MD5s right)")
        return 0
    except GarmentcamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
