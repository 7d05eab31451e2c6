"""Which points of the search space are tried: planned in advance, or proposed from what is known. On Optuna's samplers."""

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from jobs.models.hyperparameters import Hyperparameters
from jobs.tuning.search_space import Range, SearchSpace
from jobs.tuning.trial import TrialOutcome

if TYPE_CHECKING:
    import optuna

_TRIES = 100
"""Proposals in a row that are already known before a space counts as exhausted."""


def sparse_points(space: SearchSpace, default: Hyperparameters, trials: int, seed: int) -> list[Hyperparameters]:
    """Covers the space evenly with a scrambled Sobol sequence (Optuna's `QMCSampler`), the default hyperparameters first.

    Args:
        space: What to cover; a list of values is covered by its positions.
        default: What to try first, and the value of each hyperparameter that the space leaves out.
        trials: How many points to give, the default among them; fewer where the space has no more.
        seed: Seed of the scrambling; the same seed gives the same points.
    """
    import optuna

    axes = _axes(space)
    distributions = {name: _evenly(values) for name, values in axes.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = _silent_study(optuna.samplers.QMCSampler(seed=seed, scramble=True))
    if distributions:  # without a trial that has ended, the sampler knows no space to cover
        anywhere = _silent_study(optuna.samplers.RandomSampler(seed)).ask(distributions).params
        study.add_trial(_trial(anywhere, distributions, value=0.0))
    points = {default: None}
    known = 0
    while len(points) < trials and known < _TRIES:
        drawn = study.ask(distributions).params
        before = len(points)
        points[default.model_copy(update={name: _value(axes[name], drawn[name]) for name in axes})] = None
        known = known + 1 if len(points) == before else 0
    return list(points)


def propose(
    space: SearchSpace,
    default: Hyperparameters,
    ended: Iterable[TrialOutcome],
    running: Iterable[Hyperparameters],
    seed: int,
) -> Hyperparameters:
    """Proposes the next point by the tree-structured Parzen estimator (Bergstra et al. 2011; Optuna's `TPESampler`).

    Trials that run are taken for bad ones meanwhile, so that executors spread out ("constant liar"). The proposal depends on
    the arguments alone, so a driver that takes a study up again proposes what the one before would have.

    Args:
        space: Where to search.
        default: The value of each hyperparameter that the space leaves out.
        ended: What is known; a paused trial counts by its last score.
        running: Points that are being tried.
        seed: Seed of the proposal; another one for each.
    """
    import optuna

    axes = _axes(space)
    distributions = {name: _naturally(values) for name, values in axes.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    study = _silent_study(sampler)
    state = optuna.trial.TrialState
    for outcome in ended:
        params = _inside(axes, distributions, outcome.hyperparameters)
        if params is not None and outcome.validation_accuracy is not None:
            study.add_trial(_trial(params, distributions, value=outcome.validation_accuracy))
    for point in running:
        params = _inside(axes, distributions, point)
        if params is not None:
            study.add_trial(_trial(params, distributions, state=state.RUNNING))
    drawn = study.ask(distributions).params
    return default.model_copy(update=drawn)


def _axes(space: SearchSpace) -> dict[str, Any]:
    return {name: values for name in type(space).model_fields if (values := getattr(space, name)) is not None}


def _evenly(values: Any) -> "optuna.distributions.BaseDistribution":
    """A list is covered by its positions: the sequence knows numbers only."""
    import optuna

    if isinstance(values, list):
        return optuna.distributions.IntDistribution(0, len(values) - 1)
    return _interval(values)


def _naturally(values: Any) -> "optuna.distributions.BaseDistribution":
    import optuna

    return optuna.distributions.CategoricalDistribution(values) if isinstance(values, list) else _interval(values)


def _interval(values: Range[Any]) -> "optuna.distributions.BaseDistribution":
    import optuna

    if isinstance(values.low, int):
        return optuna.distributions.IntDistribution(values.low, int(values.high), log=values.log)
    return optuna.distributions.FloatDistribution(values.low, values.high, log=values.log)


def _value(values: Any, drawn: Any) -> Any:
    return values[drawn] if isinstance(values, list) else drawn


def _inside(
    axes: dict[str, list[float] | Range[Any]],
    distributions: "dict[str, optuna.distributions.BaseDistribution]",
    point: Hyperparameters,
) -> dict[str, Any] | None:
    """Gives a point's values on the axes, or None when it lies outside of the space."""
    params = {name: getattr(point, name) for name in axes}
    for name, value in params.items():
        values = axes[name]
        if value not in values if isinstance(values, list) else not values.low <= value <= values.high:
            return None
    return params


def _trial(
    params: dict[str, Any], distributions: "dict[str, optuna.distributions.BaseDistribution]", **result: Any
) -> "optuna.trial.FrozenTrial":
    import optuna

    return optuna.trial.create_trial(params=params, distributions=distributions, **result)


def _silent_study(sampler: "optuna.samplers.BaseSampler") -> "optuna.Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="maximize", sampler=sampler)
