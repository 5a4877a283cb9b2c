"""The student: a small network at 28x28 gray that learns from the teacher's answers.

Distillation: Hinton et al. 2015, arXiv:1503.02531.
Its ten logits stand against an eleventh that is fixed at 0 and means "none of the ten". It learns from the camera
views and, so that it stays right on what the data set is, from Fashion-MNIST's own images.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from device.arrays import Array
from device.locate import locate
from device.preprocess import SIDE_PX, to_gray
from training import checkpoint
from training.data import Split
from training.muon import Muon
from training.photos import FOOTWEAR, TARGETS
from training.teacher import CLASSES, allowed_classes
from training.views import VIEW_PX, View

GRAY_PX = 56
"""Side of what the preprocessing is given, pixels: twice what it gives."""
ROOM_PX = 8
"""What the student's copy of a view has around that on each side: room to look from farther and elsewhere."""
BATCH_SIZE = 128
_FASHION_SHARE = 0.33
_BLOCK_STEPS = 300
_LABEL_SHARE = 0.5
"""Of the lessons from photographs that the teacher has not learnt."""
_SMOOTHING = 0.05
_AVERAGE = 0.999
_WEIGHT_DECAY = 2e-3
_ADAM_SHARE = 1 / 3
"""Of the kernels' learning rate: what all that is not a kernel learns at, by AdamW."""


def located_gray(view: View) -> Array:
    """The student's copy of a view: the part that the board would locate, and a little around it. uint8 (72, 72)."""
    stretch = np.sqrt(view.aspect)
    size = round(VIEW_PX * stretch), round(VIEW_PX / stretch)
    frame = cv2.resize(to_gray(view.pixels), size, interpolation=cv2.INTER_LINEAR)
    row, column, side = locate(frame, SIDE_PX)
    around = round(side * ROOM_PX / GRAY_PX)
    border = around + max(0, -row, -column)
    wide = cv2.copyMakeBorder(frame, border, border, border, border, cv2.BORDER_REPLICATE)
    top, left = border + row - around, border + column - around
    part = wide[top : top + side + 2 * around, left : left + side + 2 * around]
    whole = GRAY_PX + 2 * ROOM_PX
    shrinks = side >= GRAY_PX
    gray: Array = cv2.resize(part, (whole, whole), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return gray


def as_located(grays: Array) -> Array:
    """The copies without the room around: uint8 (n, 72, 72) -> (n, 56, 56)."""
    return grays[:, ROOM_PX:-ROOM_PX, ROOM_PX:-ROOM_PX]


class Lessons(NamedTuple):
    """grays: uint8, shape (n, 72, 72). wanted: float32, shape (n, 11), a distribution each."""

    grays: Array
    wanted: Array


def lessons(grays: Array, teacher_logits: Array, targets: Array | None = None) -> Lessons:
    """The teacher's answers as they are: half the label and softened ones taught less (docs/tried.md).

    targets: of photographs that the teacher has not learnt; half of their lesson is the label, which it might miss.
    Shoes of unknown kind are split as the teacher would.
    """
    taught = _softmax(teacher_logits)
    if targets is None:
        return Lessons(grays, taught.astype(np.float32))
    labelled = allowed_classes()[targets]
    unknown = targets == TARGETS.index(FOOTWEAR)
    labelled[unknown] *= taught[unknown]
    labelled /= labelled.sum(axis=1, keepdims=True) + 1e-9
    smooth = (1 - _SMOOTHING) * labelled + _SMOOTHING / CLASSES
    return Lessons(grays, (_LABEL_SHARE * smooth + (1 - _LABEL_SHARE) * taught).astype(np.float32))


def joined(*lessons: Lessons) -> Lessons:
    """All of them as one."""
    return Lessons(*(np.concatenate(parts) for parts in zip(*lessons, strict=True)))


def train_student(
    model: keras.Model,
    views: Lessons,
    fashion: Split,
    preprocess: Callable[[Array], Array],
    *,
    steps: int,
    seed: int,
    file: Path,
    watch: Callable[[keras.Model], float],
    peak_learning_rate: float = 9e-3,
) -> keras.Model:
    """Train `model` (float32 (n, 28, 28), 0..255 -> ten logits); returns it with the running average of its weights.

    What block of batches comes when is a function of (seed, block) alone; a checkpoint a block in `file`, whose history
    holds the loss, the seconds and, as "validation", what `watch` says of the averaged weights. peak_learning_rate: of
    the convolutions' kernels, which Muon optimizes.
    """
    warm_up = min(150, max(1, steps // 5))

    def schedule(peak: float) -> keras.optimizers.schedules.LearningRateSchedule:
        return keras.optimizers.schedules.CosineDecay(
            1e-5, max(1, steps - warm_up), warmup_target=peak, warmup_steps=warm_up
        )

    kernels = [variable for variable in model.trainable_variables if len(variable.shape) == 4]
    others = [variable for variable in model.trainable_variables if len(variable.shape) != 4]
    muon = Muon(schedule(peak_learning_rate), weight_decay=_WEIGHT_DECAY)
    adam = keras.optimizers.AdamW(schedule(peak_learning_rate * _ADAM_SHARE), weight_decay=_WEIGHT_DECAY)
    muon.build(kernels)
    adam.build(others)
    average = [tf.Variable(weight.value, trainable=False) for weight in model.weights]

    @tf.function
    def step(images: Any, wanted: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            logits = tf.concat([logits, tf.zeros_like(logits[:, :1])], axis=1)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, logits))
        of_kernels, of_others = tape.gradient(loss, [kernels, others])
        muon.apply(of_kernels, kernels)
        adam.apply(of_others, others)
        done = tf.cast(adam.iterations.value, tf.float32)
        keep = tf.minimum(_AVERAGE, done / (done + 10))  # a young average must forget the random start
        for mean, weight in zip(average, model.weights, strict=True):
            mean.assign(keep * mean + (1 - keep) * tf.cast(weight.value, mean.dtype))
        return loss

    averaged = keras.models.clone_model(model)

    def set_average() -> keras.Model:
        averaged.set_weights([mean.numpy() for mean in average])
        return averaged

    variables = [*model.weights, *muon.variables, *adam.variables, *average]
    history = checkpoint.load(file, variables)
    blocks = -(-steps // _BLOCK_STEPS)
    bar = tqdm(desc="student", total=steps, initial=len(history) * _BLOCK_STEPS, unit="step", mininterval=2)
    with ThreadPoolExecutor(1) as pool:  # The next block is drawn while this one is learnt.
        coming = pool.submit(_block, views, fashion, preprocess, seed, len(history))
        for block in range(len(history), blocks):
            start_s = time.monotonic()
            images, wanted = coming.result()
            coming = pool.submit(_block, views, fashion, preprocess, seed, block + 1)
            losses = []
            for at in range(0, min(_BLOCK_STEPS, steps - block * _BLOCK_STEPS) * BATCH_SIZE, BATCH_SIZE):
                batch = slice(at, at + BATCH_SIZE)
                losses.append(float(step(images[batch].astype(np.float32), wanted[batch])))
                bar.update()
            entry = {"loss": float(np.mean(losses)), "validation": watch(set_average())}
            history.append({**entry, "seconds": time.monotonic() - start_s})
            checkpoint.save(file, variables, history)
            bar.set_postfix(loss=f"{entry['loss']:.3f}", validation=f"{entry['validation']:.3f}")
    bar.close()
    return set_average()


def _block(
    views: Lessons, fashion: Split, preprocess: Callable[[Array], Array], seed: int, block: int
) -> tuple[Array, Array]:
    """Images uint8 (300 * 128, 28, 28) and wanted float32 (300 * 128, 11) of one block, batches mixed alike."""
    rng = np.random.default_rng((seed, 3, block))
    fashion_a_batch = round(BATCH_SIZE * _FASHION_SHARE)
    views_a_batch = BATCH_SIZE - fashion_a_batch
    chosen = rng.integers(len(views.grays), size=_BLOCK_STEPS * views_a_batch)
    native = rng.integers(len(fashion.images), size=_BLOCK_STEPS * fashion_a_batch)
    seen = np.stack([preprocess(_jitter(rng, views.grays[number])) for number in chosen])
    plain = np.stack([preprocess(_shift(rng, fashion.images[number])) for number in native])
    smooth = np.eye(CLASSES, dtype=np.float32)[fashion.labels[native]] * (1 - _SMOOTHING) + _SMOOTHING / CLASSES

    def mixed(one: Array, other: Array) -> Array:
        parts = [part.reshape(_BLOCK_STEPS, -1, *part.shape[1:]) for part in (one, other)]
        return np.concatenate(parts, axis=1).reshape(-1, *one.shape[1:])

    return mixed(seen, plain), mixed(views.wanted[chosen], smooth.astype(np.float32))


def _jitter(rng: np.random.Generator, gray: Array) -> Array:
    """A little more geometry and light than the view has. uint8, shape (56, 56)."""
    angle, zoom, aspect = np.deg2rad(rng.normal(0, 4)), np.exp(rng.normal(0, 0.10)), np.exp(rng.normal(0, 0.03))
    mirror = -1 if rng.random() < 0.5 else 1
    cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
    turn = np.array([[cosine * mirror * aspect, -sine], [sine * mirror, cosine / aspect]])
    centre = np.full(2, (GRAY_PX - 1) / 2)
    moved_px = rng.uniform(-2.5, 2.5, 2)
    matrix = np.hstack([turn, (centre + ROOM_PX + moved_px - turn @ centre)[:, None]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(gray, matrix, (GRAY_PX, GRAY_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    if rng.random() < 0.6:
        levels = (np.arange(256) / 255) ** np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.15))
        moved = np.clip(255 * levels, 0, 255).astype(np.uint8)[moved]
    return moved


def _shift(rng: np.random.Generator, image: Array) -> Array:
    """A Fashion-MNIST image mirrored half of the time and moved by up to two pixels. uint8, shape (28, 28)."""
    image = image[:, ::-1] if rng.random() < 0.5 else image
    rows, columns = np.clip(np.round(rng.normal(0, 0.8, 2)), -2, 2).astype(int)
    return np.roll(image, (rows, columns), axis=(0, 1))


def _softmax(logits: Array) -> Array:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)
