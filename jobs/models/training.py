"""Training one network on arrays that are held as tensors."""

import io
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jobs.files import write_atomically
from jobs.models.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

STEPS_PER_EXECUTION = 50
"""Training steps between two returns to Python; with gathering by index it doubles the speed of a small network."""

_EVALUATION_BATCH = 1024


class DivergedError(Exception):
    """The loss of a network is no longer a finite number."""


@dataclass(frozen=True)
class Samples:
    """Images and labels of one split.

    Attributes:
        images: uint8, shape (samples, height, width, channels), values 0 to 255.
        labels: int64, shape (samples,).
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class EpochScore:
    """How a network does after one epoch.

    Attributes:
        epoch: Epochs finished, from 1.
        training_loss: Mean cross entropy over the epoch's steps, in nats.
        validation_loss: Cross entropy on the validation split, in nats.
        validation_accuracy: Share of the validation split that is classified correctly, 0 to 1.
        seconds: Time since training began.
    """

    epoch: int
    training_loss: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


def train(
    network: "keras.Model",
    train: Samples,
    validation: Samples,
    hyperparameters: Hyperparameters,
    epochs: int,
    seed: int,
) -> Iterator[EpochScore]:
    """Trains `network` in place with Adam on cross entropy, one epoch per item of the iterator.

    The images stay uint8 in memory; each step gathers its batch by index and scales it to 0 to 1, the same mathematics as
    `keras.Model.fit` on arrays.

    Args:
        network: As `build_network` gives it.
        train: What to train on.
        validation: What to score each epoch on.
        hyperparameters: Learning rate and batch size.
        epochs: How many epochs to train.
        seed: Seed of the order of the samples.

    Raises:
        DivergedError: A loss is not finite.
    """
    import keras

    steps = math.ceil(len(train.labels) / hyperparameters.batch_size)
    network.compile(
        optimizer=keras.optimizers.Adam(hyperparameters.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=min(STEPS_PER_EXECUTION, steps),
        jit_compile=False,  # on a CPU, XLA costs its compilation and gains nothing
    )
    training_batches = _batches(train, hyperparameters.batch_size, seed)
    validation_batches = _batches(validation, _EVALUATION_BATCH, None)
    start = time.monotonic()
    for epoch in range(1, epochs + 1):
        history = network.fit(training_batches, initial_epoch=epoch - 1, epochs=epoch, shuffle=False, verbose=0)
        validation_loss, accuracy = network.evaluate(validation_batches, verbose=0)
        training_loss = float(history.history["loss"][0])
        if not (math.isfinite(training_loss) and math.isfinite(validation_loss)):
            raise DivergedError(f"the loss is {training_loss:g} in epoch {epoch}")
        yield EpochScore(epoch, training_loss, float(validation_loss), float(accuracy), time.monotonic() - start)


def predict(network: "keras.Model", images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Classifies images.

    Args:
        network: As `build_network` gives it.
        images: uint8, shape (samples, height, width, channels).

    Returns:
        The index of the most probable class of each, int64, shape (samples,).
    """
    logits = network.predict(
        _batches(Samples(images, np.zeros(len(images), np.int64)), _EVALUATION_BATCH, None).map(lambda image, _: image),
        verbose=0,
    )
    classes: NDArray[np.int64] = np.asarray(logits).argmax(axis=1)
    return classes


def save_weights(network: "keras.Model", path: Path) -> None:
    """Writes the weights as one `.npz`, whole or not at all."""
    content = io.BytesIO()
    np.savez(content, **{f"{index:04}": weights for index, weights in enumerate(network.get_weights())})
    write_atomically(path, content.getvalue())


def load_weights(network: "keras.Model", path: Path) -> None:
    """Reads weights that `save_weights` wrote for a network of the same shape."""
    with np.load(path) as arrays:
        network.set_weights([arrays[name] for name in sorted(arrays.files)])


def _batches(samples: Samples, batch_size: int, seed: int | None) -> "tf.data.Dataset[Any]":
    """Batches of float32 images and labels; in a new order each epoch where a seed is given."""
    import tensorflow as tf

    images, labels = tf.constant(samples.images), tf.constant(samples.labels)
    indices = tf.data.Dataset.range(len(samples.labels))
    if seed is not None:
        indices = indices.shuffle(len(samples.labels), seed=seed)

    def gather(index: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
        return tf.cast(tf.gather(images, index), tf.float32) / 255.0, tf.gather(labels, index)

    return indices.batch(batch_size).map(gather, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
