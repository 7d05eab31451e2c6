"""A study saved with Optuna: which trials there are, which have finished, what is still to do."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.errors import InvalidStudyError, ServiceUnavailableError
from jobs.experiment import Experiment
from jobs.models.hyperparameters import Hyperparameters
from jobs.tuning.trial import TrialOutcome, TrialSpecification

if TYPE_CHECKING:
    import optuna

_EXPERIMENT, _DATASET = "atoll.experiment", "atoll.dataset"
_HYPERPARAMETERS, _OUTCOME = "atoll.hyperparameters", "atoll.outcome"


def study_storage(study_folder: Path) -> "optuna.storages.BaseStorage":
    """Opens Optuna's storage: the database at `ATOLL_OPTUNA_STORAGE`, else a journal file in the study's folder.

    Raises:
        ServiceUnavailableError: The database cannot be reached.
    """
    import optuna
    import sqlalchemy
    from optuna.storages.journal import JournalFileBackend

    url = os.environ.get("ATOLL_OPTUNA_STORAGE")
    if not url:
        study_folder.mkdir(parents=True, exist_ok=True)
        return optuna.storages.JournalStorage(JournalFileBackend(str(study_folder / "optuna.journal")))
    try:
        return optuna.storages.RDBStorage(url)
    except (sqlalchemy.exc.SQLAlchemyError, ModuleNotFoundError) as error:
        reason = str(error).splitlines()[0]
        raise ServiceUnavailableError(
            f"ATOLL_OPTUNA_STORAGE: {reason}; accepted: the URL of a database that answers"
        ) from None


class GridStudy:
    """The exhaustive strategy: every point of the grid once, the default hyperparameters first.

    All that it knows is in Optuna's storage, so a driver that takes it up again goes on where the last one stopped: trials
    that finished are not repeated, those that were running start again.
    """

    def __init__(
        self, storage: "optuna.storages.BaseStorage", name: str, experiment: Experiment, dataset_fingerprint: str
    ) -> None:
        """Creates the study, or takes it up again.

        Raises:
            InvalidStudyError: A study of this name exists for another experiment or data set.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        self._points = experiment.search.grid(experiment.default)
        self._distributions = _distributions(self._points)
        self._running: dict[int, optuna.Trial] = {}
        self._claim(name, experiment.model_dump_json(), dataset_fingerprint)
        self._requeue()

    @property
    def size(self) -> int:
        """Number of trials of the whole study."""
        return len(self._points)

    def finished(self) -> list[TrialOutcome]:
        """Gives the outcomes of all trials that have ended, by number."""
        saved = (trial.user_attrs.get(_OUTCOME) for trial in self._study.get_trials(deepcopy=False))
        return [TrialOutcome.model_validate_json(outcome) for outcome in saved if outcome]

    def next_trial(self) -> TrialSpecification | None:
        """Gives the next point of the grid, or None when all have been given."""
        import optuna

        if not self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,)):
            return None
        trial = self._study.ask(self._distributions)
        self._running[trial.number] = trial
        return TrialSpecification(trial.number, Hyperparameters.model_validate_json(trial.user_attrs[_HYPERPARAMETERS]))

    def report(self, outcome: TrialOutcome) -> None:
        """Saves the outcome of a trial."""
        trial = self._running.pop(outcome.number)
        trial.set_user_attr(_OUTCOME, outcome.model_dump_json())
        for score in outcome.curve:
            trial.report(score.validation_accuracy, score.epoch)
        self._close(outcome)

    def _close(self, outcome: TrialOutcome) -> None:
        import optuna

        if outcome.state == "complete":
            self._study.tell(outcome.number, outcome.validation_accuracy)
        else:
            self._study.tell(outcome.number, state=optuna.trial.TrialState.FAIL)

    def _claim(self, name: str, experiment: str, dataset_fingerprint: str) -> None:
        saved = self._study.user_attrs
        for key, value in ((_EXPERIMENT, experiment), (_DATASET, dataset_fingerprint)):
            if key not in saved:
                self._study.set_user_attr(key, value)
            elif saved[key] != value:
                what = key.removeprefix("atoll.")
                raise InvalidStudyError(
                    f"study {name}: was begun with {what} {saved[key]}; accepted: that {what}, or a new name"
                )

    def _requeue(self) -> None:
        """Queues every point that no finished trial covers; a trial whose driver died is closed and queued anew."""
        import optuna

        state = optuna.trial.TrialState
        covered = set()
        for trial in self._study.get_trials(deepcopy=False):
            saved = trial.user_attrs.get(_OUTCOME)
            if trial.state == state.RUNNING and saved is None:
                self._study.tell(trial.number, state=state.FAIL)
                continue
            if trial.state == state.RUNNING and saved is not None:
                self._close(TrialOutcome.model_validate_json(saved))
            if saved is not None or trial.state == state.WAITING:
                covered.add(trial.user_attrs[_HYPERPARAMETERS])
        for point in self._points:
            text = point.model_dump_json()
            if text not in covered:
                values = {name: getattr(point, name) for name in self._distributions}
                self._study.enqueue_trial(values, user_attrs={_HYPERPARAMETERS: text})


def _distributions(points: list[Hyperparameters]) -> "dict[str, optuna.distributions.BaseDistribution]":
    """Gives each hyperparameter that varies the interval that it covers, on a log scale from a factor of ten on."""
    import optuna

    distributions: dict[str, optuna.distributions.BaseDistribution] = {}
    for name in Hyperparameters.model_fields:
        values = [getattr(point, name) for point in points]
        low, high = min(values), max(values)
        if low == high:
            continue
        log = low > 0 and high / low >= 10
        if isinstance(low, int):
            distributions[name] = optuna.distributions.IntDistribution(low, high, log=log)
        else:
            distributions[name] = optuna.distributions.FloatDistribution(low, high, log=log)
    return distributions
