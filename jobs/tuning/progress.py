"""The line that tells how far a study is: done, running, best so far, time left."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.models.hyperparameters import Hyperparameters, Scalar
from jobs.tuning.trial import TrialOutcome


def duration(seconds: float) -> str:
    """Formats a duration as minutes and seconds, or hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def describe(hyperparameters: Hyperparameters) -> str:
    """Writes hyperparameters on one line, as `layers=1 neurons=32 ...`."""
    return " ".join(f"{name}={short(value)}" for name, value in hyperparameters.given().items())


def short(value: Scalar) -> str:
    """Writes the value of a hyperparameter as briefly as it can be told."""
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value).lower()


@dataclass
class StudyProgress:
    """Counts what has ended and estimates what is left.

    Attributes:
        total: Trials in the study.
        epochs: Epochs that the whole study is expected to take.
        known: Trials that had ended or paused before this driver began.
        clock: Gives the time in seconds; replaced in tests.
    """

    total: int
    epochs: float
    known: list[TrialOutcome]
    clock: Callable[[], float] = time.monotonic
    _running: int = 0
    _latest: dict[tuple[int, int], TrialOutcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._began = self.clock()
        self._latest = {(outcome.number, outcome.repeat): outcome for outcome in self.known}
        self._epochs_before = self._epochs_done()

    def start(self, running: int) -> None:
        """Takes note of how many trials run now."""
        self._running = running

    def finish(self, outcome: TrialOutcome) -> None:
        """Takes note of a trial that has ended or paused."""
        self._latest[outcome.number, outcome.repeat] = outcome

    def line(self) -> str:
        """Gives the progress line."""
        latest = self._latest.values()
        trials = sum(trial.repeat == 0 for trial in latest)
        parts = [f"progress: {trials}/{self.total} trials", f"{self._running} running"]
        if repeats := len(latest) - trials:
            parts.append(f"{repeats} with another seed")
        for state in ("paused", "failed"):
            if count := sum(trial.state == state for trial in latest):
                parts.append(f"{count} {state}")
        scored = [trial for trial in latest if trial.validation_accuracy is not None]
        if scored:
            best = max(scored, key=lambda trial: trial.validation_accuracy or 0.0)
            parts.append(f"best {best.validation_accuracy:.2%} (trial {best.number}: {describe(best.hyperparameters)})")
        done = self._epochs_done()
        if done > self._epochs_before and (self._running or trials < self.total):
            pace = (self.clock() - self._began) / (done - self._epochs_before)
            parts.append(f"{duration(pace * max(0, self.epochs - done))} left")
        return ", ".join(parts)

    def _epochs_done(self) -> float:
        """Counts the epochs that need not be trained any more; a failed trial will not train its own."""
        complete = self.epochs / self.total if self.total else 0
        return sum(max(one.epochs, complete) if one.state == "failed" else one.epochs for one in self._latest.values())
