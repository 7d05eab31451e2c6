"""How a study lies in Optuna: where its storage is, and what its hyperparameters look like there."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from jobs.errors import ServiceUnavailableError
from jobs.experiment import Experiment
from jobs.models.hyperparameters import Hyperparameters, Schedule
from jobs.printing import redacted
from jobs.tuning.search_space import Choice

if TYPE_CHECKING:
    import optuna

_LOGARITHMIC = ("neurons", "learning_rate", "batch_size", "filters")
"""Hyperparameters whose ratios matter; Optuna wants the same scale for all trials of a study."""


def study_storage(study_folder: Path) -> "optuna.storages.BaseStorage":
    """Opens Optuna's storage: the database at `ATOLL_OPTUNA_STORAGE`, else a journal file in the study's folder.

    Raises:
        ServiceUnavailableError: The database cannot be reached, or its tables are of another version.
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
    except (sqlalchemy.exc.SQLAlchemyError, ModuleNotFoundError, RuntimeError) as error:  # the last: of older tables
        reason = redacted(str(error)).splitlines()[0]
        raise ServiceUnavailableError(
            f"ATOLL_OPTUNA_STORAGE: {reason}; accepted: the URL of a database that answers"
        ) from None


def optuna_distributions(
    experiment: Experiment, point: Hyperparameters
) -> "dict[str, optuna.distributions.BaseDistribution]":
    """Gives each varied number the interval in which Optuna's pictures show it, and each other value its kind's.

    A text of a model of the user's own is left out: Optuna wants one set of choices for ever, and a study may go on with
    more.
    """
    import optuna

    distributions: dict[str, optuna.distributions.BaseDistribution] = {}
    for name, axis in experiment.search.axes().items():
        ends = axis.values if isinstance(axis, Choice) else [axis.low, axis.high]
        ends = [*ends, getattr(experiment.default, name), getattr(point, name)]
        if isinstance(ends[0], bool):
            distributions[name] = optuna.distributions.CategoricalDistribution([False, True])
        elif name == "schedule":
            distributions[name] = optuna.distributions.CategoricalDistribution(get_args(Schedule))
        elif not any(isinstance(end, str | bool) for end in ends):
            whole = all(isinstance(end, int) for end in ends)
            kind = optuna.distributions.IntDistribution if whole else optuna.distributions.FloatDistribution
            distributions[name] = kind(min(ends), max(ends), log=name in _LOGARITHMIC)
    return distributions
