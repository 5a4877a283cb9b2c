"""Muon's step on a kernel, against the singular value decomposition that it stands for."""

from __future__ import annotations

import numpy as np
import pytest

SHAPE = 3, 3, 4, 6
RATE = 0.1


def stepped(gradients: list[np.ndarray]) -> np.ndarray:
    """How far the last of the steps moved a kernel: shape (36, 6)."""
    import keras

    from training.muon import Muon

    kernel = keras.Variable(np.ones(SHAPE, np.float32))
    optimizer = Muon(RATE, weight_decay=0)
    optimizer.build([kernel])
    for gradient in gradients:
        before = kernel.numpy()
        optimizer.apply([gradient.astype(np.float32)], [kernel])
    return (before - kernel.numpy()).reshape(-1, SHAPE[-1])


@pytest.mark.parametrize("count", [1, 3])
def test_a_step_goes_all_ways_of_the_momentum_alike(count: int):
    gradients = list(np.random.default_rng(0).normal(size=(count, *SHAPE)) * 1e-3)
    momentum = sum(0.95 ** (count - 1 - number) * gradient for number, gradient in enumerate(gradients))
    nesterov = (gradients[-1] + 0.95 * momentum).reshape(-1, SHAPE[-1])
    left, _, right = np.linalg.svd(nesterov, full_matrices=False)
    along = left.T @ stepped(gradients) @ right.T / (RATE * 0.2 * np.sqrt(nesterov.shape[0]))
    # Five iterations bring the singular values of 1 near to it, and leave their vectors (Jordan et al.).
    assert np.all((np.diag(along) > 0.65) & (np.diag(along) < 1.25))
    assert np.abs(along - np.diag(np.diag(along))).max() < 1e-3


def test_the_size_of_the_gradient_does_not_matter():
    gradient = np.random.default_rng(1).normal(size=SHAPE)
    np.testing.assert_allclose(stepped([gradient * 1e-3]), stepped([gradient]), rtol=1e-3, atol=1e-5)
