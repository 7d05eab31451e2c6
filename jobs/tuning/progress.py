"""The line that tells how far a study is: done, running, best so far, time left."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.models.hyperparameters import Hyperparameters
from jobs.tuning.trial import TrialOutcome


def duration(seconds: float) -> str:
    """Formats a duration as minutes and seconds, or hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def describe(hyperparameters: Hyperparameters) -> str:
    """Writes hyperparameters on one line, as `layers=1 neurons=32 ...`."""
    return " ".join(f"{name}={value:g}" for name, value in hyperparameters.model_dump().items())


@dataclass
class StudyProgress:
    """Counts what has finished and estimates what is left.

    Attributes:
        total: Trials in the study.
        known: Trials that had finished before this driver began.
        clock: Gives the time in seconds; replaced in tests.
    """

    total: int
    known: list[TrialOutcome]
    clock: Callable[[], float] = time.monotonic
    _running: int = 0
    _finished: list[TrialOutcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def start(self, running: int) -> None:
        """Takes note of how many trials run now."""
        self._running = running

    def finish(self, outcome: TrialOutcome) -> None:
        """Takes note of a trial that has finished."""
        self._finished.append(outcome)

    def line(self) -> str:
        """Gives the progress line."""
        done = [*self.known, *self._finished]
        parts = [f"progress: {len(done)}/{self.total} trials", f"{self._running} running"]
        if failed := sum(trial.state == "failed" for trial in done):
            parts.append(f"{failed} failed")
        complete = [trial for trial in done if trial.validation_accuracy is not None]
        if complete:
            best = max(complete, key=lambda trial: trial.validation_accuracy or 0.0)
            parts.append(f"best {best.validation_accuracy:.2%} (trial {best.number}: {describe(best.hyperparameters)})")
        if self._finished and len(done) < self.total:
            pace = (self.clock() - self._began) / len(self._finished)
            parts.append(f"{duration(pace * (self.total - len(done)))} left")
        return ", ".join(parts)
