"""What people copy, written from its documentation: a frame in, a label out, each with its own way to get there.

All of them squash the whole frame to what the model takes; the model is the same for all.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import cv2
import numpy as np
from PIL import Image

from device.arrays import Array
from device.labels import LABELS

LEAST_CODE = "least code: four pixels of hundreds"
"""Shown beside the recipes, and not counted among them: nobody's documentation has it."""

Recipe = Callable[[Array], str]
"""BGR frame -> the best label."""

See = Callable[[Array, Path], Array]
"""BGR frame, a folder of its own -> what the model is shown, uint8 (28, 28)."""


def kept(see: See, interpreter_class: Any, model: Path, folder: Path) -> Recipe:
    """One interpreter for all frames."""
    interpreter = interpreter_class(model_path=str(model))
    interpreter.allocate_tensors()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    return lambda bgr: _invoke(interpreter, inputs, outputs, see(bgr, folder))


def rebuilt(see: See, interpreter_class: Any, model: Path, folder: Path) -> Recipe:
    """An interpreter for each frame, of four threads."""

    def answer(bgr: Array) -> str:
        interpreter = interpreter_class(model_path=str(model), num_threads=4)
        interpreter.allocate_tensors()
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        return _invoke(interpreter, inputs, outputs, see(bgr, folder))

    return answer


def full_tensorflow(model: Path) -> Recipe:
    """`tf.lite.Interpreter` with TensorFlow's own picture functions. Only in a process of its own."""
    tf = importlib.import_module("tensorflow")
    interpreter = tf.lite.Interpreter(model_path=str(model))
    interpreter.allocate_tensors()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()

    def answer(bgr: Array) -> str:
        gray = tf.image.rgb_to_grayscale(tf.convert_to_tensor(bgr[:, :, ::-1]))
        return _invoke(interpreter, inputs, outputs, tf.image.resize(gray, (28, 28)).numpy())

    return answer


def mediapipe_classifier(model: Path) -> Recipe:
    """MediaPipe's ImageClassifier in its video mode; it takes colour models with metadata only."""
    mediapipe = importlib.import_module("mediapipe")
    vision = importlib.import_module("mediapipe.tasks.python.vision")
    base = importlib.import_module("mediapipe.tasks.python").BaseOptions
    options = vision.ImageClassifierOptions(base_options=base(model_asset_path=str(model)), max_results=1)
    classifier = vision.ImageClassifier.create_from_options(options)

    def answer(bgr: Array) -> str:
        picture = mediapipe.Image(mediapipe.ImageFormat.SRGB, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
        return LABELS[int(classifier.classify(picture).classifications[0].categories[0].index)]

    return answer


def _pillow(bgr: Array, folder: Path) -> Array:
    return np.asarray(Image.fromarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)).convert("L").resize((28, 28)))


def _opencv(bgr: Array, folder: Path) -> Array:
    return cv2.resize(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), (28, 28))


def _through_a_file(bgr: Array, folder: Path) -> Array:
    path = folder / "frame.jpg"
    cv2.imwrite(str(path), bgr)
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L").resize((28, 28), Image.Resampling.LANCZOS))


def _four_pixels(bgr: Array, folder: Path) -> Array:
    return cv2.cvtColor(cv2.resize(bgr, (28, 28)), cv2.COLOR_BGR2GRAY)


RECIPES: Dict[str, Tuple[See, Callable[[See, Any, Path, Path], Recipe]]] = {
    "label_image": (_pillow, kept),  # TensorFlow Lite's label_image.py, in a loop
    "picamera2's example": (_opencv, rebuilt),  # its examples/tensorflow/real_time.py
    "a JPEG file a frame": (_through_a_file, kept),  # teachable-machine-lite classifies a path
    LEAST_CODE: (_four_pixels, kept),
}
"""Name -> (what it shows the model, how it keeps its interpreter)."""


def _invoke(interpreter: Any, inputs: Any, outputs: Any, image: Array) -> str:
    data: Array = np.expand_dims(image, 0).reshape(inputs[0]["shape"])
    if inputs[0]["dtype"] == np.float32:
        data = data.astype(np.float32) / 255.0
    interpreter.set_tensor(inputs[0]["index"], data.astype(inputs[0]["dtype"]))
    interpreter.invoke()
    scores = np.squeeze(interpreter.get_tensor(outputs[0]["index"]))
    return LABELS[int(scores.argsort()[-5:][::-1][0])]
