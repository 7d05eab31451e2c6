"""Outcomes of trials, made up."""

from typing import Any

from jobs.models.hyperparameters import Hyperparameters
from jobs.models.training import EpochScore
from jobs.tuning.trial import TrialOutcome, TrialRun, TrialSpecification, TrialState, milestones

DEFAULT = Hyperparameters(layers=1, neurons=32, learning_rate=0.001, batch_size=32, dropout=0.0)


def ran(trial: TrialSpecification, accuracy: float, *, budget: int) -> TrialOutcome:
    """What an executor gives back of a trial that did as it was told, and stood at `accuracy` all the time."""
    epochs = milestones(trial.done, trial.until, ())
    state: TrialState = "complete" if trial.until >= budget else "paused"
    return TrialOutcome(
        number=trial.number,
        hyperparameters=trial.hyperparameters,
        repeat=trial.repeat,
        state=state,
        validation_accuracy=accuracy,
        curve=[EpochScore(epoch, 0.5, 0.6, accuracy, 1.0) for epoch in epochs],
        runs=[TrialRun(executor="0@host", process=1, started_at=100.0, finished_at=102.0, epochs=len(epochs))],
    )


def outcome(number: int, accuracy: float | None, **changes: Any) -> TrialOutcome:
    """A trial that reached `accuracy`, or failed when that is None, with `changes` to the default hyperparameters."""
    return TrialOutcome(
        number=number,
        hyperparameters=DEFAULT.model_copy(update=changes),
        state="failed" if accuracy is None else "complete",
        validation_accuracy=accuracy,
        curve=[] if accuracy is None else [EpochScore(1, 0.5, 0.6, accuracy, 1.0)],
        runs=[TrialRun(executor="0@host", process=1, started_at=100.0, finished_at=102.0, epochs=1)],
        reason="diverged" if accuracy is None else None,
    )
