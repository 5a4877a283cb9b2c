"""config.yaml, section `training`: the recipes. The device's sections are checked in the same pass."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from device.config import SECTIONS, parse_sections, read_text

DEFAULT_CONFIG = Path("config.yaml")

Count = Annotated[int, Meta(ge=1)]
LearningRate = Annotated[float, Meta(gt=0, le=10)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class MlpRecipe(msgspec.Struct, frozen=True):
    """The article's recipe: Adam at a constant rate. `runs`: trainings with seeds seed, seed + 1, ..."""

    epochs: Count = 10
    batch_size: Count = 32
    learning_rate: LearningRate = 0.001
    runs: Count = 3


class MlpFastRecipe(msgspec.Struct, frozen=True):
    """The same model in less time: larger batches, the learning rate rising to a peak and falling to 0.

    least_validation_accuracy: training is repeated for more epochs while it is below this.
    """

    epochs: Count = 6
    batch_size: Count = 256
    peak_learning_rate: LearningRate = 0.006
    least_validation_accuracy: Fraction = 0.89


class BenchmarkRecipe(msgspec.Struct, frozen=True):
    """The Fashion-MNIST-only recipe: SGD with Nesterov momentum, cosine learning rate, averaged weights."""

    epochs: Count = 40
    batch_size: Count = 128
    peak_learning_rate: LearningRate = 0.1
    weight_decay: Annotated[float, Meta(ge=0, le=1)] = 0.0005
    label_smoothing: Fraction = 0.1


class TrainingConfig(msgspec.Struct, frozen=True):
    """The section `training`. `fashion_mnist_dir`: a folder with the four gz files; None looks elsewhere."""

    fashion_mnist_dir: str | None = None
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    mlp: MlpRecipe = MlpRecipe()
    mlp_fast: MlpFastRecipe = MlpFastRecipe()
    benchmark: BenchmarkRecipe = BenchmarkRecipe()


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
    if config.fashion_mnist_dir is None:
        return config
    return msgspec.structs.replace(config, fashion_mnist_dir=str(path.parent / config.fashion_mnist_dir))
