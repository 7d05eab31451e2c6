"""How much each hyperparameter matters, from the trials of a study."""

from typing import TYPE_CHECKING, Any

from jobs.models.hyperparameters import Hyperparameters
from jobs.tuning.leaderboard import Leaderboard
from jobs.tuning.trial import TrialOutcome

if TYPE_CHECKING:
    import optuna

_FEWEST = 4
"""With fewer scored trials, shares would be noise."""


def varied(board: Leaderboard) -> list[str]:
    """Gives the hyperparameters that are not the same in all trials."""
    names = (*Hyperparameters.model_fields, *board.experiment.default.own())
    return [name for name in names if len({getattr(trial.hyperparameters, name) for trial in board.trials}) > 1]


def importance(board: Leaderboard) -> dict[str, float]:
    """Estimates the share of the differences between trials that each hyperparameter explains (fANOVA, Hutter et al. 2014).

    With early stopping, trials are compared at the first rung, which all of them have reached.

    Args:
        board: The study.

    Returns:
        Shares that sum to 1, by name; empty where too little is known.
    """
    import optuna

    names = varied(board)
    scored = [(trial, score) for trial in board.trials if (score := _comparable(board, trial)) is not None]
    if len(scored) < _FEWEST or not names or len({score for _, score in scored}) == 1:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    distributions = {
        name: _distribution([getattr(one.hyperparameters, name) for one in board.trials]) for name in names
    }
    for trial, score in scored:
        params: dict[str, Any] = {name: getattr(trial.hyperparameters, name) for name in names}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=score))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def _comparable(board: Leaderboard, trial: TrialOutcome) -> float | None:
    stopping = board.experiment.early_stopping
    if trial.validation_accuracy is None:
        return None
    return trial.accuracy_at(stopping.first_rung) if stopping else trial.validation_accuracy


def _distribution(values: list[Any]) -> "optuna.distributions.BaseDistribution":
    import optuna

    if any(isinstance(value, str | bool) for value in values):
        return optuna.distributions.CategoricalDistribution(sorted(set(values), key=str))
    low, high = min(values), max(values)
    log = low > 0 and high / low >= 4
    if all(isinstance(value, int) for value in values):
        return optuna.distributions.IntDistribution(low, int(high), log=log)
    return optuna.distributions.FloatDistribution(low, high, log=log)
