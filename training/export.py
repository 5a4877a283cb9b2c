"""Keras model -> .tflite and its card: float32, float16, dynamic range, full int8."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Literal, NamedTuple

import keras
import msgspec
import numpy as np
import tensorflow as tf

from device.arrays import Array
from device.labels import LABELS
from device.model_card import InputSpec, ModelCard, OutputSpec, card_path, write_card
from training.gate import runtimes_that_run
from training.int8 import to_int8

Kind = Literal["float32", "float16", "dynamic-range", "int8"]
KINDS: tuple[Kind, ...] = ("float32", "float16", "dynamic-range", "int8")
_GATE_IMAGES = 64


class Exported(NamedTuple):
    """A written model. loads_in: packages of the runtimes that ran it."""

    path: Path
    kind: Kind
    card: ModelCard
    loads_in: list[str]


def export(model: keras.Model, kind: Kind, path: Path, draft: ModelCard, calibration: Array) -> Exported:
    """Write `path` (.tflite) and its card, once every installed runtime has run it.

    draft: the card's other fields (`draft_card`); its `input.pixel_scale` says what the model's input is: 1/255
    where the model takes pixels / 255, 1 where it has its own Rescaling. calibration: uint8, shape (n, 28, 28),
    training images only: they set the ranges of int8. Raises ModelError, and then writes nothing.
    """
    content = convert(model, kind, calibration.astype(np.float32) * draft.input.pixel_scale)
    dtype: Literal["uint8", "float32"] = "uint8" if kind == "int8" else "float32"
    card = msgspec.structs.replace(
        draft,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        input=InputSpec(dtype, (1, *model.input_shape[1:]), draft.input.pixel_scale),
        output=msgspec.structs.replace(draft.output, dtype=dtype),
        ops=operators(content),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, so that the renames stay on one file system; a model that fails the gate leaves the old one.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        tried = Path(folder, path.name)
        tried.write_bytes(content)
        write_card(card, card_path(tried))
        loads_in = runtimes_that_run(tried, calibration[:_GATE_IMAGES])
        tried.replace(path)
        card_path(tried).replace(card_path(path))
    return Exported(path, kind, card, loads_in)


def convert(model: keras.Model, kind: Kind, calibration: Array) -> bytes:
    """The model as a .tflite flatbuffer. calibration: float32, shape (n, *input), real input values."""
    with tempfile.TemporaryDirectory() as folder:  # By way of a file, since `from_keras_model` lists all variables.
        model.export(folder, format="tf_saved_model", verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if kind == "int8":
            return to_int8(converter, calibration.reshape(-1, *model.input_shape[1:]))
        if kind != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if kind == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if kind == "dynamic-range":
            # Else Dense layers become FULLY_CONNECTED version 12, which tflite-runtime 2.14 does not know.
            converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        return bytes(converter.convert())


def operators(content: bytes) -> list[str]:
    """The operators that a runtime must know, with their versions: "CONV_2D 3"."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    return sorted(f"{names[max(op.builtinCode, op.deprecatedBuiltinCode)]} {op.version}" for op in model.operatorCodes)


def draft_card(name: str, **facts: Any) -> ModelCard:
    """A card with what no export changes; `facts` are ModelCard's fields, for those that are not defaults."""
    fields = {
        "schema": 1,
        "name": name,
        "sha256": "0" * 64,
        "size_bytes": 0,
        "labels": LABELS,
        "input": InputSpec("float32", (1, 28, 28), 1.0),
        "output": OutputSpec("float32", (1, len(LABELS))),
        "ops": [],
        "commit": commit(),
        "measurements": [],
        **facts,
    }
    return ModelCard(**fields)


def commit() -> str | None:
    """The commit that is checked out, None outside a git checkout."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git here
        return None
    return done.stdout.strip() if done.returncode == 0 else None
