"""Post-training quantization to int8, of a model that is calibrated and still float.

TensorFlow's converter by itself takes the least and the largest value as a tensor's range, and rounds every weight to
the nearest step. Both cost more than they need (measured: docs/tried.md), so both are done here, in the flatbuffer
between the converter's calibration and its quantization, where TensorFlow's own quantization debugger works, too
(www.tensorflow.org/lite/performance/quantization_debugger).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.tools import flatbuffer_utils

from device.arrays import Array
from training.rounding import covering, rounded

_BINS = 10_000
_MOST_WEIGHTS = 12


def to_int8(converter: Any, calibration: Array) -> bytes:
    """The .tflite of a `tf.lite.TFLiteConverter`, uint8 in and out. calibration: float32, (n, *input), real inputs."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[np.newaxis]] for image in calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    converter._experimental_calibrate_only = True
    prepared = prepare(converter.convert(), calibration)
    return bytes(mlir_quantize(prepared, input_data_type=tf.uint8, output_data_type=tf.uint8))


def prepare(calibrated: bytes, images: Array) -> bytes:
    """The same float model, with narrower ranges and with the first convolution's weights on the steps of int8.

    calibrated: with ranges, as the converter's calibration leaves them. images: as for `to_int8`.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(calibrated))
    graph = model.subgraphs[0]
    ranges = {
        index: tensor.quantization
        for index, tensor in enumerate(graph.tensors)
        if tensor.quantization is not None and tensor.quantization.min is not None
        if index not in (*graph.inputs, *graph.outputs)  # Every pixel and every score counts.
    }
    counts = {index: np.zeros(_BINS, np.int64) for index in ranges}
    first = _first_convolution(model)
    moment = np.zeros((first.weights, first.weights) if first else (0, 0))
    interpreter = Interpreter(  # Without delegates, which keep the tensors inside them to themselves.
        model_content=calibrated,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    for image in images:
        interpreter.set_tensor(graph.inputs[0], image[np.newaxis])
        interpreter.invoke()
        for index, found in ranges.items():
            counts[index] += np.histogram(interpreter.get_tensor(index), _BINS, (found.min[0], found.max[0]))[0]
        if first:
            patches = first.patches(interpreter.get_tensor(first.input))
            moment += patches.T @ patches
    for index, found in ranges.items():
        low, high = covering(counts[index], found.min[0], found.max[0])
        found.min, found.max = np.array([low], np.float32), np.array([high], np.float32)
    if first:
        buffer = model.buffers[graph.tensors[first.kernel].buffer]
        kernel = np.frombuffer(bytes(buffer.data), np.float32).reshape(-1, first.weights)
        buffer.data = np.frombuffer(np.stack([rounded(row, moment) for row in kernel]).tobytes(), np.uint8)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


class _Convolution(NamedTuple):
    """input, kernel: tensors. sides: of the kernel, with its input channels. strides: down, across."""

    input: int
    kernel: int
    sides: tuple[int, int, int]
    strides: tuple[int, int]
    padding: str

    @property
    def weights(self) -> int:
        """Of one output channel."""
        return math.prod(self.sides)

    def patches(self, features: Array) -> Array:
        """What it multiplies: (1, height, width, channels) -> float64, shape (positions, weights)."""
        sizes, strides = (1, *self.sides[:2], 1), (1, *self.strides, 1)
        found: Array = tf.image.extract_patches(features, sizes, strides, (1, 1, 1, 1), self.padding).numpy()
        return found.reshape(-1, self.weights).astype(np.float64)


def _first_convolution(model: Any) -> _Convolution | None:
    """Where the model has one, with few enough weights to try every way of rounding them."""
    graph, codes = model.subgraphs[0], model.operatorCodes
    for operator in graph.operators:
        code = codes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) != schema.BuiltinOperator.CONV_2D:
            continue
        options, (features, kernel) = operator.builtinOptions, operator.inputs[:2]
        padding = "SAME" if options.padding == schema.Padding.SAME else "VALID"
        height, width, channels = map(int, graph.tensors[kernel].shape[1:])
        found = _Convolution(features, kernel, (height, width, channels), (options.strideH, options.strideW), padding)
        return found if found.weights <= _MOST_WEIGHTS else None
    return None
