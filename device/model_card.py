"""model.json, the model card: what a board must know of a model.tflite before it loads it.

This file contract is all that passes from training to the board (see also Mitchell et al. 2019,
"Model Cards for Model Reporting", arXiv:1810.03993, for the idea of evidence beside the weights).
"""

import hashlib
from pathlib import Path
from typing import List, Literal, Optional, Tuple

import msgspec
from msgspec import Meta
from typing_extensions import Annotated

from device.errors import ModelError
from device.labels import LABELS


class InputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model's input tensor. `pixel_scale`: a pixel byte times this is the real value (1 or 1/255)."""

    dtype: Literal["float32", "uint8", "int8"]
    shape: Tuple[int, ...]
    pixel_scale: Annotated[float, Meta(gt=0)]


class OutputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model's output tensor: ten logits.

    background: the model was trained with an eleventh logit, fixed at 0, for "none of the ten".
    temperature: logits are divided by it before the softmax (Guo et al. 2017, arXiv:1706.04599).
    """

    dtype: Literal["float32", "uint8", "int8"]
    shape: Tuple[int, ...]
    background: bool = False
    temperature: Annotated[float, Meta(gt=0)] = 1.0


class Measurement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One figure with its evidence. value: a fraction 0..1 unless `metric` says another unit."""

    dataset: str
    metric: str
    value: float
    command: str
    date: str


class ModelCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The card. `unsure_below`: the decision is "unsure" under this confidence, 0..1.

    validated_sha256: the file that the figures on photographs are of, where this one has learnt from those photographs.
    """

    schema: Literal[1]
    name: str
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    size_bytes: int
    labels: Tuple[str, ...]
    input: InputSpec
    output: OutputSpec
    preprocessing: str
    unsure_below: Annotated[float, Meta(ge=0, le=1)]
    ops: List[str]
    trained_on: str
    recipe: str
    seed: int
    commit: Optional[str]
    measurements: List[Measurement]
    validated_sha256: Optional[str] = None


def card_path(model_path: Path) -> Path:
    """Where the card of a model lies: model.tflite -> model.json."""
    return model_path.with_suffix(".json")


def write_card(card: ModelCard, path: Path) -> None:
    """Write the card as indented JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")


def load_model(model_path: Path) -> Tuple[bytes, ModelCard]:
    """The model's bytes and its card, once they are known to belong together.

    A malformed .tflite can crash the process from inside the runtime, so nothing whose sha256 is not
    the card's may reach it. Raises ModelError.
    """
    card = read_card(card_path(model_path))
    content = _read(model_path, "train one with `make train`, or set model.path in config.yaml")
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.sha256:
        raise ModelError(
            f"{model_path}: sha256 {digest[:12]}... ({len(content)} bytes), but its card says "
            f"{card.sha256[:12]}... ({card.size_bytes} bytes): the file is damaged or of another training; "
            "copy model.tflite and model.json together"
        )
    return content, card


def read_card(path: Path) -> ModelCard:
    """The card in `path`, checked. Raises ModelError."""
    raw = _read(path, "every model needs its card beside it: copy model.tflite and model.json together")
    try:
        card = msgspec.json.decode(raw, type=ModelCard)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{path}: not a model card: {error}; export the model again") from None
    if card.labels != LABELS:
        raise ModelError(f"{path}: labels: expected {', '.join(LABELS)} in this order; found {', '.join(card.labels)}")
    return card


def _read(path: Path, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; {remedy}") from None
