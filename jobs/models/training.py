"""Training one network on arrays that are held as tensors."""

import functools
import io
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.split_file import ALIGNMENT
from jobs.files import write_atomically
from jobs.models.augmentation import Augmentation
from jobs.models.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

STEPS_PER_EXECUTION = 50
"""Training steps between two returns to Python; with gathering by index it doubles the speed of a small network."""

_EVALUATION_BATCH = 1024


class DivergedError(Exception):
    """The loss of a network is no longer a finite number."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Images, or features, and labels of one split; equal only to itself, so that what is made of it can be found again.

    Attributes:
        inputs: uint8, shape (samples, height, width, channels), values 0 to 255; or float32, shape (samples, features).
        labels: int64, shape (samples,).
    """

    inputs: NDArray[Any]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class EpochScore:
    """How a network does after an epoch, or at a rung within one.

    Attributes:
        epoch: Epochs finished, above 0.
        training_loss: Mean cross entropy over the steps since the last score, in nats; None where there was none.
        validation_loss: Cross entropy on the validation split, in nats.
        validation_accuracy: Share of the validation split that is classified correctly, 0 to 1.
        seconds: Time since training began.
    """

    epoch: float
    training_loss: float | None
    validation_loss: float
    validation_accuracy: float
    seconds: float


class Trainer:
    """One compiled network with its data, which trains one trial after another without being traced again.

    Trials that differ in the learning rate alone share a trainer: what they learn is put in before and taken out after. The
    images stay uint8 in memory; each step gathers its batch by index and scales it to 0 to 1, the same mathematics as
    `keras.Model.fit` on arrays. Features are given as they are.

    Attributes:
        network: The network, as it is now; between two milestones with the average of its weights, where that is asked for.
    """

    def __init__(
        self,
        network: "keras.Model",
        train: Samples,
        validation: Samples,
        hyperparameters: Hyperparameters,
        epochs: int = 1,
    ) -> None:
        """Compiles the network with Adam on cross entropy.

        Args:
            network: As `build_network` gives it; its initial weights are those of each trial that starts anew.
            train: What to train on.
            validation: What to score on.
            hyperparameters: Batch size, schedule and augmentation; their learning rate is not used.
            epochs: Epochs of a complete trial, over which a schedule stretches.
        """
        import keras
        import tensorflow as tf

        self.network = network
        self._train, self._samples, self._batch_size = train, len(train.labels), hyperparameters.batch_size
        self._steps = math.ceil(self._samples / self._batch_size)
        self._learning_rate = keras.Variable(0.001, trainable=False, name="largest_learning_rate")
        scheduled: Any = 0.001
        if hyperparameters.schedule == "cosine":
            scheduled = keras.optimizers.schedules.CosineDecay(self._learning_rate, epochs * self._steps)
        self._scheduled = hyperparameters.schedule != "constant"
        self._averaging = hyperparameters.ema_momentum > 0
        network.compile(
            optimizer=_optimizer(scheduled, hyperparameters.ema_momentum),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            steps_per_execution=min(STEPS_PER_EXECUTION, self._steps),
            jit_compile=False,  # on a CPU, XLA costs its compilation and gains nothing
        )
        self._initial = network.get_weights(), [variable.numpy() for variable in _state(network)]
        self._order = tf.Variable(np.arange(self._samples), trainable=False)
        self._seed = tf.Variable([0, 0], dtype=tf.int64, trainable=False)
        self._augmentation = Augmentation(hyperparameters.shift, hyperparameters.rotation, hyperparameters.zoom)
        self._segments: dict[range, tf.data.Dataset[Any]] = {}
        self._validation_batches = _batches(validation, _EVALUATION_BATCH)

    def train(
        self,
        learning_rate: float,
        milestones: Iterable[float],
        seed: int,
        done: float = 0.0,
        checkpoint: Path | None = None,
    ) -> Iterator[EpochScore]:
        """Trains the network in place, from one milestone to the next per item of the iterator.

        The order of the samples and their augmentation depend on the seed and the epoch alone, so that training which goes
        on from a checkpoint gives what training without a pause would have given.

        Args:
            learning_rate: Step size of Adam; with a schedule, the largest.
            milestones: Epochs, rising and above `done`, at which to score; every whole epoch must be among them. A part of
                an epoch is rounded up to a whole step.
            seed: Seed of the order of the samples.
            done: Epochs that are done already, as the checkpoint has them.
            checkpoint: What `save_checkpoint` left there; None starts anew.

        Raises:
            DivergedError: A loss is not finite.
        """
        _put(self.network, *(self._initial if checkpoint is None else _read(checkpoint)))
        self._learning_rate.assign(learning_rate)
        if not self._scheduled:
            self.network.optimizer.learning_rate = learning_rate
        start = time.monotonic()
        for milestone in milestones:
            epoch = math.ceil(milestone)
            self._order.assign(np.random.default_rng((seed, epoch)).permutation(self._samples))
            self._seed.assign([seed, epoch])
            steps = range(self._step(max(done, epoch - 1), epoch), self._step(milestone, epoch))
            training_loss = self._train_steps(steps) if steps else None
            validation_loss, accuracy = self.network.evaluate(self._validation_batches, verbose=0)
            for loss in (training_loss, validation_loss):
                if loss is not None and not math.isfinite(loss):
                    raise DivergedError(f"the loss is {loss:g} in epoch {epoch}")
            done = milestone
            seconds = time.monotonic() - start
            yield EpochScore(milestone, training_loss, float(validation_loss), float(accuracy), seconds)

    def _step(self, milestone: float, epoch: int) -> int:
        """Gives the steps of an epoch (counted from 1) that are done at a milestone in it."""
        return math.ceil((milestone - (epoch - 1)) * self._steps - 1e-6)

    def _train_steps(self, steps: range) -> float:
        """Trains some steps of an epoch and gives their mean loss."""
        if steps not in self._segments:
            positions = range(steps.start * self._batch_size, min(steps.stop * self._batch_size, self._samples))
            self._segments[steps] = _batches(
                self._train, self._batch_size, positions, self._order, self._augmentation, self._seed
            )
        if self._averaging:
            self.network.optimizer.exchange()
        history = self.network.fit(self._segments[steps], shuffle=False, verbose=0)
        if self._averaging:
            self.network.optimizer.exchange()
        return float(history.history["loss"][0])


def predict(network: "keras.Model", inputs: NDArray[Any]) -> NDArray[np.int64]:
    """Classifies images, or their features.

    Args:
        network: As `build_network` gives it.
        inputs: uint8, shape (samples, height, width, channels); or float32, shape (samples, features).

    Returns:
        The index of the most probable class of each, int64, shape (samples,).
    """
    samples = Samples(inputs, np.zeros(len(inputs), np.int64))
    logits = network.predict(_batches(samples, _EVALUATION_BATCH).map(lambda batch, _: batch), verbose=0)
    classes: NDArray[np.int64] = np.asarray(logits).argmax(axis=1)
    return classes


def save_checkpoint(network: "keras.Model", path: Path) -> None:
    """Writes weights, optimiser state and the state of the random generators as one `.npz`, whole or not at all."""
    content = io.BytesIO()
    weights = {f"weights/{index:04}": value for index, value in enumerate(network.get_weights())}
    state = {f"state/{index:04}": value.numpy() for index, value in enumerate(_state(network))}
    np.savez(content, **weights, **state)
    write_atomically(path, content.getvalue())


def load_weights(network: "keras.Model", path: Path) -> None:
    """Reads the weights of a checkpoint into a network of the same shape, compiled or not."""
    network.set_weights(_read(path)[0])


def _optimizer(learning_rate: Any, ema_momentum: float) -> Any:
    import keras

    if not ema_momentum:
        return keras.optimizers.Adam(learning_rate)
    from jobs.models.averaging import AveragingAdam

    return AveragingAdam(learning_rate, ema_momentum)


def _read(path: Path) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Reads weights and state from a checkpoint."""
    with np.load(path) as arrays:
        names = sorted(arrays.files)
        weights = [arrays[name] for name in names if name.startswith("weights/")]
        return weights, [arrays[name] for name in names if name.startswith("state/")]


def _put(network: "keras.Model", weights: list[NDArray[Any]], state: list[NDArray[Any]]) -> None:
    """Puts weights and state into a compiled network."""
    network.set_weights(weights)
    for variable, value in zip(_state(network), state, strict=True):
        variable.assign(value)


def _state(network: "keras.Model") -> "list[keras.Variable]":
    """Gives what training needs beside the weights: the optimiser's variables, and the seeds of layers such as dropout."""
    network.optimizer.build(network.trainable_variables)
    weights = {id(variable) for variable in network.weights}
    return [*network.optimizer.variables, *(one for one in network.variables if id(one) not in weights)]


def _batches(
    samples: Samples,
    batch_size: int,
    positions: range | None = None,
    order: "tf.Variable | None" = None,
    augmentation: Augmentation | None = None,
    seed: "tf.Variable | None" = None,
) -> "tf.data.Dataset[Any]":
    """Batches of float32 inputs and labels, in the order that the variable holds when they are read."""
    import tensorflow as tf

    inputs, labels = _tensors(samples)
    scale = 255.0 if samples.inputs.dtype == np.uint8 else 1.0

    def gather(position: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
        index = position if order is None else tf.gather(order, position)
        batch = tf.cast(tf.gather(inputs, index), tf.float32) / scale
        if augmentation and seed is not None:
            batch = augmentation.apply(batch, tf.random.experimental.stateless_fold_in(seed, position[0]))
        return batch, tf.gather(labels, index)

    positions = range(len(samples.labels)) if positions is None else positions
    batches = tf.data.Dataset.range(positions.start, positions.stop).batch(batch_size)
    return batches.map(gather, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


@functools.lru_cache(maxsize=2)
def _tensors(samples: Samples) -> tuple["tf.Tensor", "tf.Tensor"]:
    """Holds a split once in a worker process, however many networks train on it; what is mapped stays where it is."""
    import tensorflow as tf

    inputs = samples.inputs
    if inputs.ctypes.data % ALIGNMENT == 0 and inputs.flags.writeable:
        return tf.experimental.dlpack.from_dlpack(inputs.__dlpack__()), tf.constant(samples.labels)
    return tf.constant(inputs), tf.constant(samples.labels)
