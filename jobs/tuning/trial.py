"""One trial: what is sent to an executor, what comes back, and what happens there."""

import bisect
import math
import os
import time
import traceback
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from jobs.models.hyperparameters import HEAD, Hyperparameters
from jobs.models.training import DivergedError, EpochScore, Samples

if TYPE_CHECKING:
    from jobs.models.training import Trainer

TrialState = Literal["complete", "paused", "failed"]
"""`paused`: it has reached a rung, left a checkpoint there, and may be taken up again on any executor."""


class TrialTimeoutError(Exception):
    """A trial takes longer than it may."""


@dataclass(frozen=True)
class TrialSpecification:
    """What one trial is to do.

    Attributes:
        number: Number of the trial in its study, from 0.
        hyperparameters: The point of the search space to train.
        done: Epochs that are done already; it goes on from the checkpoint that was left after them.
        until: Epochs that are to be done in all when this run ends.
        spent: Seconds that its earlier runs took.
        repeat: 0 trains with the study's seed, 1 and up with the seeds that follow it.
    """

    number: int
    hyperparameters: Hyperparameters
    done: float
    until: float
    spent: float = 0.0
    repeat: int = 0


@dataclass(frozen=True)
class ModelDescription:
    """What all trials of a study share; broadcast once, with where the data set lies.

    Attributes:
        model: Which network to build, as the experiment names it.
        sample_shape: Height, width and channels of an image, or how many features there are.
        classes: Number of classes.
        epochs: Epochs after which a trial is complete.
        rungs: Epochs at which trials may pause; each is scored.
        minutes: Time that a trial may take in all; None sets no limit.
        seed: Seed of initial weights, dropout and the order of the samples, the same for every trial.
        study_folder: Folder of the study, which every executor mounts.
    """

    model: str
    sample_shape: tuple[int, ...]
    classes: int
    epochs: int
    seed: int
    study_folder: Path
    minutes: float | None = None
    rungs: tuple[float, ...] = ()


class TrialRun(BaseModel):
    """One time that a trial was on an executor.

    Attributes:
        executor: Where, as `ID@host`.
        process: Process of the Python worker.
        started_at: Seconds since 1970.
        finished_at: The same, by the clock as it was at the start: one that is set anew meanwhile makes no run longer.
        epochs: Epochs finished in this run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    executor: str
    process: int
    started_at: float
    finished_at: float
    epochs: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.finished_at - self.started_at


class TrialOutcome(BaseModel):
    """What has become of one trial so far.

    Attributes:
        number: Number of the trial in its study.
        hyperparameters: What was trained.
        state: `complete`, `paused` at a rung, or `failed` with a `reason`.
        validation_accuracy: After the last epoch, 0 to 1; None when it failed.
        curve: Score after each epoch and at each rung that was reached.
        runs: When and where it ran; more than one where it was paused and taken up again.
        repeat: 0, or which repeat of the trial with another seed this is.
        reason: Why it failed, in one line.
        traceback: Where it failed, on the executor.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    hyperparameters: Hyperparameters
    state: TrialState
    validation_accuracy: float | None = None
    curve: list[EpochScore] = []
    runs: Annotated[list[TrialRun], Field(min_length=1)]
    repeat: int = 0
    reason: str | None = None
    traceback: str | None = None

    @property
    def epochs(self) -> float:
        """Epochs finished; a part of one where a rung lies within it."""
        return self.curve[-1].epoch if self.curve else 0.0

    def accuracy_at(self, epochs: float) -> float:
        """Gives the validation accuracy after so many epochs, or the one next before; the first where there is none.

        Raises:
            IndexError: It has no score at all.
        """
        position = bisect.bisect_right(self.curve, epochs, key=lambda score: score.epoch)
        return self.curve[max(0, position - 1)].validation_accuracy

    @property
    def executor(self) -> str:
        """Where it ran last, as `ID@host`."""
        return self.runs[-1].executor

    @property
    def started_at(self) -> float:
        """When it first began, in seconds since 1970."""
        return self.runs[0].started_at

    @property
    def finished_at(self) -> float:
        """When it last ended, in seconds since 1970."""
        return self.runs[-1].finished_at

    @property
    def seconds(self) -> float:
        """How long it was on executors."""
        return sum(run.seconds for run in self.runs)

    def after(self, earlier: "TrialOutcome | None") -> "TrialOutcome":
        """Puts the runs and the learning curve of an earlier outcome of the same trial in front of this one's."""
        if earlier is None:
            return self
        spent = earlier.seconds
        curve = [replace(score, seconds=score.seconds + spent) for score in self.curve]
        return self.model_copy(update={"curve": [*earlier.curve, *curve], "runs": [*earlier.runs, *self.runs]})


def checkpoint_path(study_folder: Path, number: int, epochs: float, repeat: int = 0) -> Path:
    """Where a trial, or a repeat of it with another seed, leaves its checkpoint after so many epochs."""
    folder = f"{number:04}" + (f"-repeat-{repeat}" if repeat else "")
    return study_folder / "trials" / folder / f"epoch-{epochs:011.5f}.npz"


def milestones(done: float, until: float, rungs: tuple[float, ...]) -> list[float]:
    """Gives the epochs at which a trial is scored on its way: every whole one, and every rung."""
    whole = map(float, range(math.floor(done) + 1, math.floor(until) + 1))
    return sorted({*whole, *(rung for rung in rungs if done < rung < until), until})


def run_trial(
    trial: TrialSpecification,
    description: ModelDescription,
    train: Samples,
    validation: Samples,
    cores: int,
    executor: str,
) -> TrialOutcome:
    """Runs one trial on this executor until it is complete or paused; going wrong is an outcome, not an exception.

    Args:
        trial: What to train, from where and how far.
        description: What all trials share.
        train: Training split.
        validation: Validation split.
        cores: Cores of this executor; TensorFlow's thread pools are set to it.
        executor: Name of this executor.
    """
    started_at, began = time.time(), time.monotonic()
    curve: list[EpochScore] = []
    reason = trace = None
    try:
        _train(trial, description, train, validation, cores, curve)
    except DivergedError as error:
        reason = f"diverged: {error}"
    except TrialTimeoutError as error:
        reason = f"time limit: {error}"
    except Exception as error:  # noqa: BLE001  # whatever a model raises is the trial's outcome, and is shown to its author
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        trace = traceback.format_exc()
    state: TrialState = "complete" if trial.until >= description.epochs else "paused"
    return TrialOutcome(
        number=trial.number,
        hyperparameters=trial.hyperparameters,
        state="failed" if reason else state,
        validation_accuracy=None if reason else curve[-1].validation_accuracy,
        curve=curve,
        runs=[
            TrialRun(
                executor=executor,
                process=os.getpid(),
                started_at=started_at,
                finished_at=started_at + time.monotonic() - began,
                epochs=curve[-1].epoch - trial.done if curve else 0.0,
            )
        ],
        repeat=trial.repeat,
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
    from jobs.models import training

    trainer = _trainer(trial, description, train, validation)

    def checkpoint(epochs: float) -> Path:
        return checkpoint_path(description.study_folder, trial.number, epochs, trial.repeat)

    left = checkpoint(trial.done) if trial.done else None
    to_score = milestones(trial.done, trial.until, description.rungs)
    for score in trainer.train(
        trial.hyperparameters.learning_rate, to_score, description.seed + trial.repeat, trial.done, left
    ):
        curve.append(score)
        seconds = trial.spent + score.seconds
        if description.minutes is not None and seconds > description.minutes * 60 and score.epoch < description.epochs:
            raise TrialTimeoutError(
                f"{seconds / 60:.1f} min for {score.epoch:g} epochs; allowed are {description.minutes:g} min"
            )
    training.save_checkpoint(trainer.network, checkpoint(trial.until))
    for old in checkpoint(0).parent.glob("epoch-*.npz"):
        if old.name < checkpoint(trial.done).name:
            old.unlink(missing_ok=True)  # the one that this run began from is kept: this driver may die before it knows


_TRAINERS_KEPT = 4
"""A worker process keeps the last few compiled networks: tracing one takes longer than many a rung."""

_trainers: "OrderedDict[tuple[object, ...], Trainer]" = OrderedDict()


def _trainer(
    trial: TrialSpecification, description: ModelDescription, train: Samples, validation: Samples
) -> "Trainer":
    """Gives the compiled network for a trial, made now or for an earlier trial of the same shape in this process."""
    import keras

    from jobs.models.head import standardise
    from jobs.models.network import build_network
    from jobs.models.training import Trainer

    shape = trial.hyperparameters.model_copy(update={"learning_rate": 1.0})
    key = (shape, trial.repeat, description, train, validation)
    if key not in _trainers:
        while len(_trainers) >= _TRAINERS_KEPT:
            _trainers.popitem(last=False)
        keras.backend.clear_session()
        keras.utils.set_random_seed(description.seed + trial.repeat)
        network = build_network(description.model, shape, description.sample_shape, description.classes)
        if description.model == HEAD:
            standardise(network, train.inputs)
        _trainers[key] = Trainer(network, train, validation, shape, description.epochs)
    _trainers.move_to_end(key)
    return _trainers[key]
