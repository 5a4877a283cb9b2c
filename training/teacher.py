"""The teacher: EfficientNet-Lite0 in colour, fine-tuned on the camera views; it labels them for the student.

It sees 140x140 colour where the student sees 28x28 gray, and knows ImageNet. Its eleven outputs are the ten labels
and "none of the ten".
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from device.arrays import Array
from training import checkpoint
from training.efficientnet import backbone
from training.photos import FOOTWEAR, TARGETS
from training.views import VIEW_PX

CLASSES = 11
BATCH_SIZE = 48
_CHECKPOINT_STEPS = 300
_SMOOTHING = 0.05
_SHOES = (5, 7, 9)  # Sandal, Sneaker, Ankle boot


def allowed_classes() -> Array:
    """float32, shape (12, 11): for each of TARGETS, 1 where an answer counts as right."""
    allowed = np.eye(len(TARGETS), CLASSES, dtype=np.float32)
    allowed[TARGETS.index(FOOTWEAR)] = 0
    allowed[TARGETS.index(FOOTWEAR), list(_SHOES)] = 1
    return allowed


def train_teacher(views: Array, targets: Array, *, passes: float, seed: int, file: Path) -> keras.Model:
    """Fine-tune on views (uint8 (n, 140, 140, 3), B,G,R) with targets (index into TARGETS, shape (n,)).

    passes: how often each view is seen. file: checkpoint; an interrupted training goes on after the last one.
    """
    features = backbone(VIEW_PX)
    pooled = keras.layers.Dropout(0.2, seed=seed)(keras.layers.GlobalAveragePooling2D()(features.output))
    model = keras.Model(features.input, keras.layers.Dense(CLASSES)(pooled))
    steps = max(1, round(passes * len(targets) / BATCH_SIZE))
    warm_up = min(200, max(1, steps // 5))
    schedule = keras.optimizers.schedules.CosineDecay(
        1e-5, max(1, steps - warm_up), warmup_target=5e-4, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=1e-4)
    optimizer.build(model.trainable_variables)
    allowed = tf.constant(allowed_classes())

    @tf.function
    def step(images: Any, wanted: Any) -> Any:
        with tf.GradientTape() as tape:
            log_p = tf.nn.log_softmax(model(_normalized(images), training=True))
            # A shoe of unknown kind is right as any of three: the probability of what is allowed counts.
            right = tf.reduce_logsumexp(log_p + tf.math.log(tf.gather(allowed, wanted) + 1e-9), axis=1)
            loss = -tf.reduce_mean((1 - _SMOOTHING) * right + _SMOOTHING * tf.reduce_mean(log_p, axis=1))
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, model.trainable_variables), 2.0)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    variables = [*model.weights, *optimizer.variables]
    history = checkpoint.load(file, variables)
    start = int(history[-1]["step"]) if history else 0
    since_s = time.monotonic()
    for number in tqdm(range(start, steps), desc="teacher", initial=start, total=steps, unit="step", mininterval=2):
        begin = number * BATCH_SIZE
        order = np.random.default_rng((seed, 2, begin // len(targets))).permutation(len(targets))
        chosen = np.sort(np.take(order, range(begin, begin + BATCH_SIZE), mode="wrap"))
        loss = step(views[chosen], targets[chosen])
        if (number + 1) % _CHECKPOINT_STEPS == 0 or number + 1 == steps:
            history.append({"step": number + 1, "loss": float(loss), "seconds": time.monotonic() - since_s})
            checkpoint.save(file, variables, history)
            since_s = time.monotonic()
    return model


def label_views(model: keras.Model, views: Array) -> Array:
    """The teacher's logits: float32, shape (n, 11)."""
    answer = tf.function(lambda images: model(_normalized(images), training=False))
    batches = range(0, len(views), 128)
    labelled = [
        answer(views[at : at + 128]).numpy() for at in tqdm(batches, desc="labels", unit="batch", mininterval=2)
    ]
    return np.concatenate(labelled)


def _normalized(images: Any) -> Any:
    """uint8 B,G,R -> what EfficientNet-Lite takes: R,G,B, (value - 127) / 128."""
    return (tf.cast(images, tf.float32)[..., ::-1] - 127) / 128
