"""Makes the small models of test_classifier: `python small_models.py FOLDER`. Random weights, fixed seed."""

import sys
from pathlib import Path

import numpy as np


def images() -> np.ndarray:
    """uint8, shape (20, 28, 28)."""
    return np.random.default_rng(3).integers(0, 256, (20, 28, 28), np.uint8)


def main(folder: Path) -> None:
    import tensorflow

    def keras_model(pixels: int = 28, outputs: int = 10) -> tensorflow.keras.Model:
        """Logits that are weighted sums of the pixels, which arrive as 0..1."""
        layers = tensorflow.keras.layers
        model = tensorflow.keras.Sequential(
            [tensorflow.keras.Input((pixels, pixels)), layers.Flatten(), layers.Dense(outputs)]
        )
        rng = np.random.default_rng(1)
        model.layers[-1].set_weights([rng.normal(0, 0.1, (pixels * pixels, outputs)), rng.normal(0, 0.1, outputs)])
        return model

    def convert(model: tensorflow.keras.Model, kind: str = "float32") -> bytes:
        converter = tensorflow.lite.TFLiteConverter.from_keras_model(model)
        if kind != "float32":
            samples = np.random.default_rng(0).random((50, 1, 28, 28)).astype(np.float32)
            converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([sample] for sample in samples)
            converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = getattr(tensorflow, kind)
        return converter.convert()

    def future(content: bytes) -> bytes:
        """The same model, asking for operator versions that no runtime has yet."""
        from tensorflow.lite.tools import flatbuffer_utils

        model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
        for code in model.operatorCodes:
            code.version = 99
        return bytes(flatbuffer_utils.convert_object_to_bytearray(model))

    model = keras_model()
    for kind in ("float32", "uint8", "int8"):
        (folder / f"{kind}.tflite").write_bytes(convert(model, kind))
    (folder / "pixels-32.tflite").write_bytes(convert(keras_model(pixels=32)))
    (folder / "outputs-7.tflite").write_bytes(convert(keras_model(outputs=7)))
    (folder / "future.tflite").write_bytes(future(convert(model)))
    (folder / "keras-logits.f32").write_bytes(model.predict(images() / 255, verbose=0).astype(np.float32).tobytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
