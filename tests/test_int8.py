"""What quantization to int8 does beside TensorFlow's own: narrower ranges, and a first kernel that is rounded well."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from conftest import ROOT
from training.rounding import covering, rounded

RUN = """
import json, sys
import numpy as np, tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils
from training.int8 import to_int8

import keras
from training.fit import make_repeatable
make_repeatable(3)
rng = np.random.default_rng(0)
# A light, smooth image and an edge filter, whose weights have a sum of nearly nothing: rounded to the nearest step it
# gives a gray of its own. Three dead pixels in all of them are what stretches the range.
inputs = keras.Input((28, 28, 1))
edges = keras.layers.Conv2D(8, 3, strides=int(sys.argv[1]), padding=sys.argv[2], use_bias=False)
features = keras.layers.ReLU()(edges(inputs))
outputs = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(features))
model = keras.Model(inputs, outputs)
kernel = rng.normal(0, 1, (3, 3, 1, 8)).astype(np.float32)
edges.set_weights([kernel - kernel.mean(axis=(0, 1), keepdims=True)])
light = rng.uniform(80, 250, (300, 1, 1, 1)) + np.cumsum(rng.normal(0, 0.5, (300, 28, 28, 1)), axis=2)
images = np.clip(light, 0, 255).round().astype(np.float32)
images[:3, 14, 14] = 0
exact = model.predict(images, verbose=0)


def answers(content):
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = found["quantization"]
    made = []
    for image in images:
        interpreter.set_tensor(given["index"], image[np.newaxis].astype(np.uint8))
        interpreter.invoke()
        made.append((interpreter.get_tensor(found["index"])[0].astype(float) - zero) * scale)
    return np.array(made)


def plain():
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[np.newaxis]] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    return converter.convert()


def about(content):
    graph = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    tensors = graph.subgraphs[0].tensors
    kernel = next(tensor for tensor in tensors if len(tensor.shape) == 4 and list(tensor.shape) == [8, 3, 3, 1])
    inner = next(t for t in tensors if len(t.shape) == 4 and t.shape[-1] == 8 and t.quantization.scale is not None)
    steps = np.frombuffer(bytes(graph.buffers[kernel.buffer].data), np.int8).reshape(8, 9)
    return {
        "error": float(np.sqrt(np.mean((answers(content) - exact) ** 2))),
        "sums": np.abs(steps.astype(int).sum(axis=1)).tolist(),
        "largest": np.abs(steps.astype(int)).max(axis=1).tolist(),
        "inner_step": float(inner.quantization.scale[0]),
    }


converter = tf.lite.TFLiteConverter.from_keras_model(model)
print("RESULT", json.dumps({"plain": about(plain()), "ours": about(to_int8(converter, images))}))
"""


@pytest.mark.parametrize(("stride", "padding"), [(1, "same"), (2, "same"), (1, "valid")])
def test_an_edge_filter_stays_one_and_an_outlier_does_not_stretch_the_range(stride: int, padding: str):
    command = [sys.executable, "-c", RUN, str(stride), padding]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    plain, ours = (json.loads(line[7:])[name] for name in ("plain", "ours"))
    print(plain, ours)
    assert sum(ours["sums"]) < sum(plain["sums"])
    assert ours["largest"] == plain["largest"] == [127] * 8  # the converter took the steps that were meant
    # Beside a border of zeros the light itself is an edge, and makes a seventh of the values large.
    assert ours["inner_step"] < (0.5 if padding == "valid" else 1.0) * plain["inner_step"]
    assert ours["error"] < 0.5 * plain["error"]


def test_the_range_leaves_out_a_ten_thousandth_at_either_end_and_has_zero():
    values = np.random.default_rng(0).normal(0, 1, 1_000_000)
    values[:50] = 100
    values[50:70] = -300
    counts, _ = np.histogram(values, 10_000, (-300, 100))
    np.testing.assert_allclose(covering(counts, -300, 100), (-3.78, 3.89), atol=0.1)
    only_positive, _ = np.histogram(np.linspace(5, 9, 1000), 10_000, (5, 9))
    assert covering(only_positive, 5, 9) == pytest.approx((0, 9), abs=0.01)
    nothing, _ = np.histogram(np.zeros(10), 10_000, (0, 0))
    assert covering(nothing, 0, 0) == (0, 0)


def test_the_way_of_rounding_is_the_best_of_all():
    rng = np.random.default_rng(1)
    for _ in range(20):
        inputs, weights = rng.uniform(0, 255, (50, 4)) + 100, rng.normal(0, 1, 4).astype(np.float32)
        found = rounded(weights, inputs.T @ inputs)
        step = np.abs(weights).max() / 127
        exact = weights / step

        def off(ways: Any, exact: Any = exact, inputs: Any = inputs) -> float:
            return float(np.square(inputs @ (np.asarray(ways) - exact)).sum())

        np.testing.assert_allclose(found / step, np.round(found / step), atol=1e-3)
        assert np.abs(found - weights).max() < step * 1.001
        all_ways = itertools.product(*((np.floor(value), np.ceil(value)) for value in exact.round(4)))
        assert off(found / step) <= min(map(off, all_ways)) * 1.001 + 1e-3


def test_a_channel_without_weights_stays_nothing():
    np.testing.assert_array_equal(rounded(np.zeros(9, np.float32), np.eye(9)), np.zeros(9))
