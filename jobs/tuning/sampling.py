"""Which points of the search space are tried: planned in advance, or proposed from what is known. On Optuna's samplers."""

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from jobs.models.hyperparameters import Hyperparameters, Scalar
from jobs.tuning.search_space import Axis, Choice, Range, SearchSpace, applies
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

    axes = space.axes()
    distributions = {name: _evenly(axis) for name, axis in axes.items()}
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
        points[space.point(default, {name: _value(axis, drawn[name]) for name, axis in axes.items()})] = None
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

    distributions = {name: _naturally(axis) for name, axis in space.axes().items()}
    conditional = any(axis.when for axis in space.axes().values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=conditional, constant_liar=True)
    study = _silent_study(sampler)
    state = optuna.trial.TrialState
    for outcome in ended:
        params = space.values(outcome.hyperparameters)
        if params is not None and outcome.validation_accuracy is not None:
            study.add_trial(_trial(params, distributions, value=outcome.validation_accuracy))
    for point in running:
        params = space.values(point)
        if params is not None:
            study.add_trial(_trial(params, distributions, state=state.RUNNING))
    trial, point = study.ask(None if conditional else distributions), default
    for name, axis in space.axes().items():
        if applies(axis, point):
            point = point.model_copy(update={name: _suggest(trial, name, distributions[name])})
    return point


def _suggest(trial: "optuna.Trial", name: str, distribution: "optuna.distributions.BaseDistribution") -> Scalar:
    """Gives a trial's value; one that was asked for with all distributions has it already."""
    import optuna

    value: Scalar
    match distribution:
        case optuna.distributions.CategoricalDistribution():
            value = trial.suggest_categorical(name, distribution.choices)  # type: ignore[assignment]
        case optuna.distributions.IntDistribution():
            value = trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
        case optuna.distributions.FloatDistribution():
            value = trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
        case _:
            raise TypeError(type(distribution).__name__)
    return value


def _evenly(axis: Axis) -> "optuna.distributions.BaseDistribution":
    """A choice is covered by its positions: the sequence knows numbers only."""
    import optuna

    if isinstance(axis, Choice):
        return optuna.distributions.IntDistribution(0, len(axis.values) - 1)
    return _interval(axis)


def _naturally(axis: Axis) -> "optuna.distributions.BaseDistribution":
    import optuna

    return optuna.distributions.CategoricalDistribution(axis.values) if isinstance(axis, Choice) else _interval(axis)


def _interval(axis: Range[Any]) -> "optuna.distributions.BaseDistribution":
    import optuna

    if isinstance(axis.low, int):
        return optuna.distributions.IntDistribution(axis.low, int(axis.high), log=axis.log)
    return optuna.distributions.FloatDistribution(axis.low, axis.high, log=axis.log)


def _value(axis: Axis, drawn: Any) -> Scalar:
    value: Scalar = axis.values[drawn] if isinstance(axis, Choice) else drawn
    return value


def _trial(
    params: dict[str, Any], distributions: "dict[str, optuna.distributions.BaseDistribution]", **result: Any
) -> "optuna.trial.FrozenTrial":
    import optuna

    known = {name: distributions[name] for name in params}
    return optuna.trial.create_trial(params=params, distributions=known, **result)


def _silent_study(sampler: "optuna.samplers.BaseSampler") -> "optuna.Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="maximize", sampler=sampler)
