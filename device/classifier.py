"""28x28 image, or several of one frame -> Prediction, through whichever runtime is there."""

from math import exp
from operator import add
from pathlib import Path
from typing import Any, Iterable, List, Optional, Tuple

import numpy as np

from device.arrays import Array
from device.errors import ModelError
from device.frame import Prediction
from device.labels import LABELS
from device.model_card import InputSpec, ModelCard, OutputSpec, load_model
from device.runtime import import_runtime, make_interpreter

BATCH = 16
"""Images an invoke: what they need on the way still fits into a cache, and neither runtime is faster with more."""


class Classifier:
    """A loaded model. Not thread-safe: one per thread.

    card: the model's card. runtime: the one in use, with its version, for the log.
    """

    def __init__(self, model_path: Path, runtime: str = "auto", threads: int = 1) -> None:
        """Load `model_path` and its card. Raises ModelError."""
        content, self.card = load_model(model_path)
        self.runtime = import_runtime(runtime)
        self._interpreter = make_interpreter(self.runtime, content, threads, str(model_path))
        inputs, outputs = _check_tensors(self._interpreter, self.card, str(model_path))
        self._input, self._output = inputs["index"], outputs["index"]
        self._count, self._shape = 1, self.card.input.shape
        self._pixel_values = _pixel_values(self.card.input, inputs["quantization"])
        quantized = self.card.output.dtype != "float32"
        scale_and_zero_point: Tuple[float, int] = outputs["quantization"] if quantized else (1.0, 0)
        self._scale, self._zero_point = scale_and_zero_point

    def __call__(self, image: Array) -> Prediction:
        """Classify one frame: uint8, an image of shape (28, 28), or several crops (k, 28, 28), asked at once.

        Of crops the mean of their logits counts.
        """
        rows = self._invoke(image, 1 if image.ndim == 2 else len(image)).tolist()
        total: Iterable[float] = rows[0]
        for row in rows[1:]:
            total = map(add, total, row)
        scale, zero_point = self._scale / len(rows), self._zero_point * len(rows)
        return to_prediction([(value - zero_point) * scale for value in total], self.card.output)

    def logits(self, images: Array) -> Array:
        """Classify many: uint8, shape (n, 28, 28) or (n, k, 28, 28) -> float32 logits, shape (n, 10).

        In batches of BATCH; the interpreter keeps the size of the last one until the next call.
        """
        flat = images.reshape(-1, *images.shape[-2:])
        batches = [flat[at : at + BATCH] for at in range(0, len(flat), BATCH)]
        none = np.empty((0, len(LABELS)), np.float32)
        outputs = np.concatenate([none, *(self._invoke(batch, len(batch)) for batch in batches)])
        if images.ndim == 4:
            outputs = mean_of_crops(outputs, images.shape[1])
        logits: Array = (outputs - np.float32(self._zero_point)) * np.float32(self._scale)
        return logits

    def _invoke(self, images: Array, count: int) -> Array:
        """What the output tensor holds, shape (count, 10), for so many images."""
        interpreter = self._interpreter
        if count != self._count:
            interpreter.resize_tensor_input(self._input, (count, *self.card.input.shape[1:]), strict=False)
            interpreter.allocate_tensors()
            self._count = count
            self._shape = (count, *self.card.input.shape[1:])
        values = images if self._pixel_values is None else self._pixel_values[images]
        interpreter.set_tensor(self._input, values.reshape(self._shape))
        interpreter.invoke()
        output: Array = interpreter.get_tensor(self._output)
        return output


def mean_of_crops(logits: Array, crops: int) -> Array:
    """float32 (n * crops, 10), crops of one frame one after another -> (n, 10)."""
    means: Array = logits.reshape(-1, crops, logits.shape[-1]).mean(axis=1)
    return means


def to_prediction(logits: List[float], output: OutputSpec) -> Prediction:
    """Ten logits -> calibrated scores and the probability of a garment."""
    highest = max(logits)
    exponents = [exp((value - highest) / output.temperature) for value in logits]
    total = sum(exponents)
    garment = 1.0
    if output.background:
        # Softmax with an eleventh logit fixed at 0, which is "none of the ten".
        garments = sum([exp(value - highest) for value in logits])
        garment = garments / (garments + exp(min(-highest, 700.0)))
    return Prediction(tuple([one / total for one in exponents]), garment)


def _pixel_values(spec: InputSpec, quantization: Tuple[float, int]) -> Optional[Array]:
    """A table: pixel byte -> the input tensor's value. Shape (256,), the tensor's dtype; None where they are the same.

    One look-up serves every kind of input.
    """
    values = np.arange(256) * spec.pixel_scale
    scale, zero_point = quantization
    if spec.dtype != "float32":
        limits = np.iinfo(spec.dtype)
        values = np.clip(np.round(values / scale) + zero_point, limits.min, limits.max)
    if spec.dtype == "uint8" and np.array_equal(values, np.arange(256)):
        return None
    return values.astype(spec.dtype)


def _check_tensors(interpreter: Any, card: ModelCard, where: str) -> Tuple[Any, Any]:
    """The input's and output's details, once they are what the card says. Raises ModelError."""
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(f"{where}: expected one input and one output, found {len(inputs)} and {len(outputs)}")
    if card.input.shape[:3] != (1, 28, 28) or card.output.shape != (1, len(LABELS)):
        raise ModelError(
            f"{where}: its card says input {list(card.input.shape)} and output {list(card.output.shape)}; "
            f"expected [1, 28, 28] or [1, 28, 28, 1], and [1, {len(LABELS)}]"
        )
    for what, details, spec in (("input", inputs[0], card.input), ("output", outputs[0], card.output)):
        found = (np.dtype(details["dtype"]).name, tuple(int(side) for side in details["shape"]))
        if found != (spec.dtype, spec.shape):
            raise ModelError(
                f"{where}: its card says {what} {spec.dtype} {list(spec.shape)}, the file has "
                f"{found[0]} {list(found[1])}: card and model are of different exports; export again"
            )
        if spec.dtype != "float32" and not details["quantization"][0] > 0:
            raise ModelError(f"{where}: {what} is {spec.dtype} without a quantization scale; export again")
    return inputs[0], outputs[0]
