"""One trial: what is sent to an executor, what comes back, and what happens there."""

import os
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from jobs.models.hyperparameters import Architecture, Hyperparameters
from jobs.models.training import DivergedError, EpochScore, Samples

TrialState = Literal["complete", "failed"]


@dataclass(frozen=True)
class TrialSpecification:
    """What one trial is to do.

    Attributes:
        number: Number of the trial in its study, from 0.
        hyperparameters: The point of the search space to train.
    """

    number: int
    hyperparameters: Hyperparameters


@dataclass(frozen=True)
class ModelDescription:
    """What all trials of a study share; broadcast once, with the data set.

    Attributes:
        architecture: Which network to build.
        image_shape: Height, width and channels.
        classes: Number of classes.
        epochs: Epochs to train.
        seed: Seed of initial weights, dropout and the order of the samples, the same for every trial.
        study_folder: Folder of the study, which every executor mounts.
    """

    architecture: Architecture
    image_shape: tuple[int, int, int]
    classes: int
    epochs: int
    seed: int
    study_folder: Path


class TrialOutcome(BaseModel):
    """What became of one trial.

    Attributes:
        number: Number of the trial in its study.
        hyperparameters: What was trained.
        state: `complete`, or `failed` with a `reason`.
        validation_accuracy: After the last epoch, 0 to 1; None when it failed.
        curve: Score after each epoch that was finished.
        executor: Where it ran, as `ID@host`.
        process: Process of the Python worker it ran in.
        started_at: Seconds since 1970.
        finished_at: Seconds since 1970.
        reason: Why it failed, in one line.
        traceback: Where it failed, on the executor.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    hyperparameters: Hyperparameters
    state: TrialState
    validation_accuracy: float | None = None
    curve: list[EpochScore] = []
    executor: str
    process: int
    started_at: float
    finished_at: float
    reason: str | None = None
    traceback: str | None = None

    @property
    def seconds(self) -> float:
        """How long the trial took on its executor."""
        return self.finished_at - self.started_at


def weights_path(study_folder: Path, number: int) -> Path:
    """Where a trial leaves its weights."""
    return study_folder / "trials" / f"{number:04}" / "weights.npz"


def run_trial(
    trial: TrialSpecification,
    description: ModelDescription,
    train: Samples,
    validation: Samples,
    cores: int,
    executor: str,
) -> TrialOutcome:
    """Trains one trial on this executor; a trial that goes wrong is an outcome, not an exception.

    Args:
        trial: What to train.
        description: What all trials share.
        train: Training split.
        validation: Validation split.
        cores: Cores of this executor; TensorFlow's thread pools are set to it.
        executor: Name of this executor.
    """
    started_at = time.time()
    curve: list[EpochScore] = []
    reason = trace = None
    try:
        _train(trial, description, train, validation, cores, curve)
    except DivergedError as error:
        reason = f"diverged: {error}"
    except Exception as error:  # noqa: BLE001  # whatever a model raises is the trial's outcome, and is shown to its author
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        trace = traceback.format_exc()
    return TrialOutcome(
        number=trial.number,
        hyperparameters=trial.hyperparameters,
        state="failed" if reason else "complete",
        validation_accuracy=None if reason else curve[-1].validation_accuracy,
        curve=curve,
        executor=executor,
        process=os.getpid(),
        started_at=started_at,
        finished_at=time.time(),
        reason=reason,
        traceback=trace,
    )


def _train(
    trial: TrialSpecification,
    description: ModelDescription,
    train: Samples,
    validation: Samples,
    cores: int,
    curve: list[EpochScore],
) -> None:
    from jobs.models.threads import use_cores

    use_cores(cores)
    import keras

    from jobs.models import training
    from jobs.models.network import build_network

    keras.backend.clear_session()  # Python workers are reused, and so would the graph of the trial before be
    keras.utils.set_random_seed(description.seed)
    network = build_network(
        description.architecture, trial.hyperparameters, description.image_shape, description.classes
    )
    for score in training.train(
        network, train, validation, trial.hyperparameters, description.epochs, description.seed
    ):
        curve.append(score)
    training.save_weights(network, weights_path(description.study_folder, trial.number))
