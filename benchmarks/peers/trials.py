"""The trials that every peer runs: one network, its training as Keras documents it, and what is noted of each epoch."""

import functools
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PATIENCE = 3
"""Epochs without a better validation accuracy after which Keras's `EarlyStopping` ends a training."""

STEPS_PER_EXECUTION = 50
"""Training steps between two returns to Python where the peer is lent Atoll's way of training."""

REDUCTION = 2
"""One of so many trials goes on at each rung, for every contestant that has rungs; the first rung is one epoch."""

Split = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class Point:
    """One point of the grid: a hidden layer of so many neurons, and how it is trained."""

    neurons: int
    learning_rate: float
    batch_size: int
    dropout: float


@dataclass(frozen=True)
class Work:
    """What one contestant is asked to do.

    Attributes:
        points: The trials, in the order in which they are to begin.
        epochs: Epochs of a whole training.
        stopping: Whether trials without promise may be stopped early.
        fast: Whether the peer is lent Atoll's way of training, so that only the tools differ.
        seed: Seed of the initial weights.
        images: The file with both splits, as `numpy.savez` wrote it.
        notes: Folder for a line of JSON for each epoch.
        master: Spark's master, of two executors with one core each.
    """

    points: tuple[Point, ...]
    epochs: int
    stopping: bool
    fast: bool
    seed: int
    images: str
    notes: str
    master: str

    def write(self, path: Path) -> None:
        """Writes it for the contestant's program."""
        path.write_text(json.dumps(asdict(self)))


def asked() -> Work:
    """Reads the work from the file on the command line."""
    content = json.loads(Path(sys.argv[1]).read_text())
    return Work(**(content | {"points": tuple(Point(**point) for point in content["points"])}))


@dataclass(frozen=True)
class Epoch:
    """One epoch of one trial.

    Attributes:
        trial: Number of the trial.
        epoch: Epochs of it that are done.
        at: When it ended, in seconds since 1970.
        error: Share of the validation split that is classified wrongly.
    """

    trial: int
    epoch: float
    at: float
    error: float


def train(work: Work, number: int, cores: int, after_epoch: Callable[[Epoch], None] | None = None) -> float:
    """Trains one trial with Keras.

    Args:
        work: What is asked of the contestant.
        number: Number of the trial.
        cores: Threads for TensorFlow; the first call in a process decides.
        after_epoch: Told of each epoch; it may raise to end the trial.

    Returns:
        The validation error after the last epoch.
    """
    use_cores(cores)
    import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(work.seed)
    point, note = work.points[number], Path(work.notes) / f"{number}.jsonl"
    network = _network(point, STEPS_PER_EXECUTION if work.fast else 1)
    error = 1.0

    def noted(epoch: int, logs: dict[str, Any]) -> None:
        nonlocal error
        error = 1 - float(logs["val_accuracy"])
        done = Epoch(number, epoch + 1, time.time(), error)
        with note.open("a") as lines:
            lines.write(json.dumps(asdict(done)) + "\n")
        if after_epoch:
            after_epoch(done)

    callbacks: list[Any] = [keras.callbacks.LambdaCallback(on_epoch_end=noted)]
    if work.stopping and after_epoch is None:  # a tool that stops trials itself does not need it
        callbacks.append(keras.callbacks.EarlyStopping(monitor="val_accuracy", patience=PATIENCE))
    (images, labels), validation = _splits(work.images)
    if work.fast:
        batches, held_back = _gathered(images, labels, point.batch_size), _gathered(*validation, 1024)
        network.fit(batches, epochs=work.epochs, validation_data=held_back, callbacks=callbacks, verbose=0)
    else:
        options = {"batch_size": point.batch_size, "validation_data": validation, "callbacks": callbacks}
        network.fit(images, labels, epochs=work.epochs, verbose=0, **options)
    return error


def use_cores(cores: int) -> None:
    """Gives TensorFlow so many threads; once it has begun in a process, nothing changes any more."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(cores)
        tf.config.threading.set_inter_op_parallelism_threads(cores)
    except RuntimeError:
        return


def _network(point: Point, steps_per_execution: int) -> Any:
    import keras

    outputs = inputs = keras.Input((28, 28, 1))
    outputs = keras.layers.Flatten()(outputs)
    outputs = keras.layers.Dense(point.neurons, activation="relu")(outputs)
    if point.dropout:
        outputs = keras.layers.Dropout(point.dropout)(outputs)
    network = keras.Model(inputs, keras.layers.Dense(10)(outputs))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(
        keras.optimizers.Adam(point.learning_rate), loss, metrics=["accuracy"], steps_per_execution=steps_per_execution
    )
    return network


@functools.cache
def _splits(path: str) -> tuple[Split, Split]:
    """Reads both splits once in a process, as float32 from 0 to 1."""
    with np.load(path) as arrays:
        return tuple(  # type: ignore[return-value]
            (arrays[f"{split}_images"].astype(np.float32) / 255, arrays[f"{split}_labels"])
            for split in ("train", "validation")
        )


def _gathered(images: NDArray[np.float32], labels: NDArray[np.int64], batch_size: int) -> Any:
    """Batches gathered by index from tensors, the order drawn anew in each epoch."""
    import tensorflow as tf

    held = tf.constant(images), tf.constant(labels)
    positions = tf.data.Dataset.range(len(labels)).shuffle(len(labels)).batch(batch_size)
    gather = positions.map(lambda index: (tf.gather(held[0], index), tf.gather(held[1], index)), tf.data.AUTOTUNE)
    return gather.prefetch(2)
