"""28x28 image -> Prediction, through whichever runtime is there."""

from pathlib import Path
from typing import Any, Tuple

import numpy as np

from device.arrays import Array
from device.errors import ModelError
from device.frame import Prediction
from device.labels import LABELS
from device.model_card import InputSpec, ModelCard, OutputSpec, load_model
from device.runtime import import_runtime, make_interpreter


class Classifier:
    """A loaded model. Not thread-safe: one per thread.

    card: the model's card. runtime: the one in use, with its version, for the log.
    """

    def __init__(self, model_path: Path, runtime: str = "auto", threads: int = 1) -> None:
        """Load `model_path` and its card. Raises ModelError."""
        content, self.card = load_model(model_path)
        self.runtime = import_runtime(runtime)
        self._interpreter = make_interpreter(self.runtime, content, threads, str(model_path))
        self._input, self._output = _check_tensors(self._interpreter, self.card, str(model_path))
        self._pixel_values = _pixel_values(self.card.input, self._input["quantization"])
        self._scale, self._zero_point = _output_quantization(self.card.output, self._output["quantization"])

    def __call__(self, image: Array) -> Prediction:
        """Classify one image: uint8, shape (28, 28)."""
        logits = self._invoke(image[np.newaxis])[0]
        return to_prediction(logits, self.card.output)

    def logits(self, images: Array) -> Array:
        """Classify many in one invoke: uint8, shape (n, 28, 28) -> float32 logits, shape (n, 10).

        The interpreter is resized to n and stays so until the next call with another n.
        """
        return self._invoke(images)

    def _invoke(self, images: Array) -> Array:
        shape = (len(images), *self.card.input.shape[1:])
        if tuple(self._input["shape"]) != shape:
            self._interpreter.resize_tensor_input(self._input["index"], shape, strict=False)
            self._interpreter.allocate_tensors()
            self._input = self._interpreter.get_input_details()[0]
        self._interpreter.set_tensor(self._input["index"], self._pixel_values[images].reshape(shape))
        self._interpreter.invoke()
        output: Array = self._interpreter.get_tensor(self._output["index"])
        return (output.astype(np.float32) - self._zero_point) * self._scale


def to_prediction(logits: Array, output: OutputSpec) -> Prediction:
    """Ten logits (float32, shape (10,)) -> calibrated scores and the probability of a garment."""
    exponents = np.exp((logits - logits.max()) / output.temperature)
    garment = 1.0
    if output.background:
        # Softmax with an eleventh logit fixed at 0, which is "none of the ten".
        total = float(np.logaddexp.reduce(logits))
        garment = 1.0 / (1.0 + float(np.exp(-np.clip(total, -60, 60))))
    return Prediction(scores=(exponents / exponents.sum()).astype(np.float32), garment=garment)


def _pixel_values(spec: InputSpec, quantization: Tuple[float, int]) -> Array:
    """A table: pixel byte -> the input tensor's value. Shape (256,), the tensor's dtype.

    One look-up serves every kind of input, and for a uint8 input it is usually the identity.
    """
    values = np.arange(256) * spec.pixel_scale
    scale, zero_point = quantization
    if spec.dtype != "float32":
        limits = np.iinfo(spec.dtype)
        values = np.clip(np.round(values / scale) + zero_point, limits.min, limits.max)
    return values.astype(spec.dtype)


def _output_quantization(spec: OutputSpec, quantization: Tuple[float, int]) -> Tuple[np.float32, np.float32]:
    scale, zero_point = quantization if spec.dtype != "float32" else (1.0, 0)
    return np.float32(scale), np.float32(zero_point)


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
