"""What decides which trial comes next. The seam for every way to search."""

from typing import Protocol

from jobs.tuning.trial import TrialOutcome, TrialSpecification


class Strategy(Protocol):
    """Chooses trials one at a time and learns of each as it ends; called from one thread.

    A strategy that pauses trials gives the same number again with more to do. There is no barrier: `next_trial` is called
    whenever an executor is free.
    """

    def next_trial(self) -> TrialSpecification | None:
        """Gives the next trial, or None when there is none to start now."""
        ...

    def report(self, outcome: TrialOutcome) -> None:
        """Takes note of a trial that has ended."""
        ...
