"""What a contestant's run comes to: trials per hour, and the time to a validation error."""

from dataclasses import dataclass
from statistics import median

from benchmarks.peers.trials import Epoch


@dataclass(frozen=True)
class Run:
    """One run of one contestant.

    Attributes:
        contestant: Its name.
        slots: Trials that it runs at once.
        began: When its program was started, in seconds since 1970.
        ended: When its program had ended.
        epochs: Every epoch of every trial, in any order.
    """

    contestant: str
    slots: int
    began: float
    ended: float
    epochs: tuple[Epoch, ...]

    def seconds(self) -> float:
        """How long the program ran."""
        return self.ended - self.began

    def epochs_trained(self) -> int:
        """Epochs of all trials together."""
        return len(self.epochs)

    def ends(self) -> list[float]:
        """When each trial trained for the last time, the first first."""
        last: dict[int, float] = {}
        for epoch in self.epochs:
            last[epoch.trial] = max(epoch.at, last.get(epoch.trial, 0.0))
        return sorted(last.values())

    def trials_per_hour(self) -> float:
        """Trials over the whole time, from the start of the program to its end."""
        return 3600 * len(self.ends()) / (self.ended - self.began)

    def warm_trials_per_hour(self) -> float:
        """Trials after each slot has had its first, which paid for the start of the worker process and its imports.

        Only for runs without early stopping, where a trial is trained in one go.
        """
        ends = self.ends()
        return 3600 * (len(ends) - self.slots) / (ends[-1] - ends[self.slots - 1])

    def best(self) -> float:
        """The lowest validation error after any epoch."""
        return min(epoch.error for epoch in self.epochs)

    def seconds_to(self, error: float) -> float:
        """Seconds from the start of the program until a trial has reached this validation error; infinite if none did."""
        return min((epoch.at - self.began for epoch in self.epochs if epoch.error <= error), default=float("inf"))

    def warm_seconds_to(self, error: float) -> float:
        """The same without the set-up: from the start of the first trial's second epoch."""
        return self.seconds_to(error) - (min(epoch.at for epoch in self.epochs) - self.began)


def common_error(runs: list[Run]) -> float:
    """The lowest validation error that every run has reached."""
    return max(run.best() for run in runs)


def middle(runs: list[Run], contestant: str, measure: str, *arguments: float) -> float:
    """The median of a measure over the runs of one contestant."""
    return median(getattr(run, measure)(*arguments) for run in runs if run.contestant == contestant)


def ratio(runs: list[Run], contestant: str, reference: str, measure: str, *arguments: float) -> float:
    """The median over a contestant's runs of its measure divided by that of the reference's run next to it.

    Neighbours in time are compared because the machine may be shared: what slows one slows the other.
    """
    references = [run for run in runs if run.contestant == reference]

    def beside(run: Run) -> Run:
        return min(references, key=lambda other: max(run.began - other.ended, other.began - run.ended))

    return median(
        getattr(run, measure)(*arguments) / getattr(beside(run), measure)(*arguments)
        for run in runs
        if run.contestant == contestant
    )
