"""config.yaml, section `training`: the recipes. The device's sections are checked in the same pass."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from device.config import SECTIONS, parse_sections, read_text

DEFAULT_CONFIG = Path("config.yaml")

Count = Annotated[int, Meta(ge=1)]


class MlpRecipe(msgspec.Struct, frozen=True):
    """The article's recipe: Adam at a constant rate. `seeds`: how many trainings, with seeds seed, seed + 1, ..."""

    epochs: Count = 10
    batch_size: Count = 32
    seeds: Count = 3


class BenchmarkRecipe(msgspec.Struct, frozen=True):
    """The Fashion-MNIST-only recipe: SGD whose learning rate rises for two epochs, then falls to 0."""

    epochs: Annotated[int, Meta(ge=3)] = 36
    batch_size: Count = 128
    peak_learning_rate: Annotated[float, Meta(gt=0, le=10)] = 0.1
    weight_decay: Annotated[float, Meta(ge=0, le=1)] = 0.0005
    label_smoothing: Annotated[float, Meta(ge=0, lt=1)] = 0.1


class CameraRecipe(msgspec.Struct, frozen=True):
    """The model that ships, `make train`: how long the teacher and the student train, and then with everybody."""

    teacher_passes: Annotated[float, Meta(gt=0, le=100)] = 1.0
    student_steps: Count = 24000
    everybody_steps: Count = 6000


class TinyRecipe(msgspec.Struct, frozen=True):
    """The smallest model, for the same views and from the same teacher as the one that ships."""

    student_steps: Count = 12000
    everybody_steps: Count = 4000


class TrainingConfig(msgspec.Struct, frozen=True):
    """The section `training`. Folders: "" looks in the usual places.

    fashion_mnist_dir: holds Fashion-MNIST's four gz files. photos_dir: labelled photographs.
    """

    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 1
    fashion_mnist_dir: str = ""
    photos_dir: str = ""
    mlp: MlpRecipe = MlpRecipe()
    benchmark: BenchmarkRecipe = BenchmarkRecipe()
    camera: CameraRecipe = CameraRecipe()
    tiny: TinyRecipe = TinyRecipe()


def load_training_config(path: Path | None = None) -> TrainingConfig:
    """The section `training` of `path`; without a path, of ./config.yaml if it is there, else the defaults.

    All sections of the file are checked, so that all its problems are listed at once; folders come back
    relative to the file's. Raises ConfigError.
    """
    if path is None and not DEFAULT_CONFIG.exists():
        return TrainingConfig()
    path = path or DEFAULT_CONFIG
    sections = parse_sections(read_text(path), str(path), {**SECTIONS, "training": TrainingConfig}, ("deploy",))
    config: TrainingConfig = sections["training"]
    folders = {name: getattr(config, name) for name in ("fashion_mnist_dir", "photos_dir")}
    placed = {name: str(path.parent / folder) for name, folder in folders.items() if folder}
    return msgspec.structs.replace(config, **placed)
