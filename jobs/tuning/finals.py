"""The finals of a study: its best trials once more with other seeds, so that luck does not choose the winner."""

from collections.abc import Iterator

from jobs.experiment import Finalists
from jobs.tuning.study import Study
from jobs.tuning.trial import TrialOutcome, TrialSpecification


class Finals:
    """A study, and after it the repeats of its best trials: another seed changes weights, dropout and the order of samples.

    A repeat pauses at the study's rungs as trials do, so that a lost executor costs no more than one.
    """

    def __init__(self, study: Study, finalists: Finalists | None) -> None:
        """Prepares to run what is missing.

        Args:
            study: The study, finished or not.
            finalists: How many trials, and with how many seeds; None ends with the study.
        """
        self._study, self._finalists = study, finalists
        self._running: set[tuple[int, int]] = set()

    def next_trial(self) -> TrialSpecification | None:
        """Gives the study's next trial, or when it has ended the next repeat."""
        if trial := self._study.next_trial():
            return trial
        for trial in self._missing():
            self._running.add((trial.number, trial.repeat))
            return trial
        return None

    def report(self, outcome: TrialOutcome) -> None:
        """Saves what became of a trial or a repeat."""
        self._running.discard((outcome.number, outcome.repeat))
        self._study.report(outcome)

    def unfinished(self) -> bool:
        """Whether there is anything left to run."""
        return self._study.unfinished() or next(self._missing(), None) is not None

    def expected_epochs(self) -> float:
        """Estimates the epochs of the study and its finals, those that are done already among them."""
        asked = self._finalists
        return self._study.expected_epochs() + (
            asked.trials * (asked.seeds - 1) * self._study.rungs[-1] if asked else 0
        )

    def _missing(self) -> Iterator[TrialSpecification]:
        """Gives the repeats that are neither running nor ended; none before the last trial of the study has ended."""
        asked = self._finalists
        if asked is None or self._study.running() or self._study.over() is not None:
            return
        for finalist in self._study.best(asked.trials):
            for repeat in range(1, asked.seeds):
                trial = self._study.repeat(finalist.number, repeat)
                if trial and (finalist.number, repeat) not in self._running:
                    yield trial
