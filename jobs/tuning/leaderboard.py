"""The leaderboard of a study: every trial, best first, as `leaderboard.json`."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean

from pydantic import BaseModel, ConfigDict, ValidationError

from jobs.errors import InvalidStudyError
from jobs.experiment import Experiment
from jobs.files import write_atomically
from jobs.records import mistake_in
from jobs.tuning.trial import TrialOutcome

_FILE = "leaderboard.json"

INTERVAL = 5.0
"""Seconds between two states of a leaderboard that is being watched."""


class Leaderboard(BaseModel):
    """All trials of one study that have ended or paused.

    Attributes:
        study: Name of the study.
        experiment: The experiment as it was when the study began.
        dataset: Folder of the data set that every trial used.
        dataset_fingerprint: Its fingerprint.
        trials: The trials, by number.
        repeats: The best of them once more with other seeds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: str
    experiment: Experiment
    dataset: str
    dataset_fingerprint: str
    trials: list[TrialOutcome]
    repeats: list[TrialOutcome] = []

    def ranked(self) -> list[TrialOutcome]:
        """Gives the trials by validation accuracy, best first; on a tie the earlier trial; failed ones last."""
        return sorted(self.trials, key=lambda trial: (-(trial.validation_accuracy or -1.0), trial.number))

    def best(self) -> TrialOutcome | None:
        """Gives the trial with the best validation accuracy, complete or paused, or None when every one failed.

        Where trials were repeated with other seeds, the one whose mean is the best.
        """
        repeated = [trial for trial in self.ranked() if len(self.over_seeds(trial)) > 1]
        if repeated:
            return max(repeated, key=lambda trial: mean(self.over_seeds(trial)))
        return next((trial for trial in self.ranked() if trial.state != "failed"), None)

    def over_seeds(self, trial: TrialOutcome) -> list[float]:
        """Gives the validation accuracy of a trial with each seed it was trained with, the study's own first."""
        runs = [trial, *(repeat for repeat in self.repeats if repeat.number == trial.number)]
        return [run.validation_accuracy for run in runs if run.validation_accuracy is not None]

    def default(self) -> TrialOutcome | None:
        """Gives the trial of the default hyperparameters, or None when it has not finished."""
        wanted = self.experiment.default
        return next((trial for trial in self.trials if trial.hyperparameters == wanted), None)

    def write(self, study_folder: Path) -> None:
        """Writes `leaderboard.json` into the study's folder."""
        write_atomically(study_folder / _FILE, self.model_dump_json(indent=2) + "\n")


class LiveLeaderboard:
    """Writes the leaderboard while its study runs, so that it can be watched; not after each of many short trials."""

    def __init__(
        self, study_folder: Path, board: Callable[[], Leaderboard], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepares to write.

        Args:
            study_folder: Where to write.
            board: Gives the leaderboard as it stands.
            clock: Gives the time in seconds; replaced in tests.
        """
        self._folder, self._board, self._clock = study_folder, board, clock
        self._written = -math.inf

    def refresh(self) -> None:
        """Writes the leaderboard, unless it was written less than `INTERVAL` seconds ago."""
        if self._clock() - self._written >= INTERVAL:
            self._board().write(self._folder)
            self._written = self._clock()


def read_leaderboard(study_folder: Path) -> Leaderboard:
    """Reads the leaderboard of a study.

    Raises:
        InvalidStudyError: The study has none, or it cannot be read.
    """
    path = study_folder / _FILE
    try:
        return Leaderboard.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InvalidStudyError(f"{path}: no such study; accepted: one that tune_model has finished") from None
    except ValidationError as error:
        raise InvalidStudyError(
            f"{path}: {mistake_in(error)}; accepted: an unedited leaderboard of this version"
        ) from None
