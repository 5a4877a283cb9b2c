"""Muon, an optimizer for the kernels of convolutions: each step is a momentum whose singular values are made equal.

Keller Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"
(https://kellerjordan.github.io/posts/muon); the size of a step after Liu et al. 2025, arXiv:2502.16982. Keras has it
for matrices; here a kernel is one, as its authors do it: a column for each output channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

_MOMENTUM = 0.95
_ITERATIONS = 5
_STEP_RMS = 0.2
"""Root mean square of a step at a learning rate of 1: about what Adam's is, so that its rates fit (Liu et al.)."""


class Muon(keras.optimizers.Optimizer):
    """For variables of two dimensions and more, of which the last is the output's."""

    def __init__(self, learning_rate: Any, weight_decay: float) -> None:
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, name="muon")
        self._keras = keras.optimizers.Muon()
        self._momenta: list[Any] = []

    def build(self, variables: Sequence[Any]) -> None:
        """A momentum for each variable, which has its shape."""
        if not self.built:
            super().build(variables)
            self._momenta = [self.add_variable_from_reference(variable, "momentum") for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step; Nesterov's momentum."""
        momentum = self._momenta[self._get_variable_index(variable)]
        self.assign(momentum, _MOMENTUM * momentum + gradient)
        matrix = keras.ops.reshape(gradient + _MOMENTUM * momentum, (-1, variable.shape[-1]))
        equalized = self._keras.zeropower_via_newtonschulz5(matrix, _ITERATIONS)
        size = _STEP_RMS * float(np.sqrt(max(matrix.shape)))
        self.assign_sub(variable, learning_rate * size * keras.ops.reshape(equalized, variable.shape))
