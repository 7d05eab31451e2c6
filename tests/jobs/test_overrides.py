"""What a run changes of an experiment file, and what it may not."""

import argparse
from typing import Any

import pytest

from jobs.errors import InvalidArgumentError
from jobs.experiment import Experiment, load_experiment
from jobs.overrides import ExperimentOverrides
from jobs.workspace import REPOSITORY


@pytest.fixture(params=["digits", "mnist", "mnist_2016"])
def any_experiment(request: pytest.FixtureRequest) -> Experiment:
    return load_experiment(REPOSITORY / "experiments" / f"{request.param}.yaml")


@pytest.fixture
def grid() -> Experiment:
    return load_experiment(REPOSITORY / "experiments" / "digits.yaml")


@pytest.fixture
def adaptive() -> Experiment:
    return load_experiment(REPOSITORY / "experiments" / "mnist_2016.yaml")


def overrides(*arguments: str) -> ExperimentOverrides:
    """Reads a command line as a job does."""
    parser = argparse.ArgumentParser()
    ExperimentOverrides.declare(parser)
    return ExperimentOverrides.from_options(parser.parse_args(arguments))


def test_without_overrides_the_experiment_is_that_of_the_file(any_experiment: Experiment) -> None:
    same = overrides().apply(any_experiment)
    assert same == any_experiment
    assert same.model_dump_json() == any_experiment.model_dump_json(), "else a study would not be taken up again"


@pytest.mark.parametrize(
    ("arguments", "path", "value"),
    [
        (["--epochs", "2"], "budget.epochs", 2),
        (["--minutes", "90.5"], "budget.minutes", 90.5),
        (["--trial-minutes", "5"], "budget.trial_minutes", 5.0),
        (["--seed", "7"], "seed", 7),
        (["--strategy", "tpe", "--trials", "9"], "budget.trials", 9),
        (["--strategy", "sparse", "--trials", "9"], "strategy", "sparse"),
        (["--early-stopping", "on"], "early_stopping.first_rung", 1),
        (["--finalist-seeds", "4"], "finalists.seeds", 4),
        (["--finalist-seeds", "1"], "finalists", None),
    ],
)
def test_each_override_changes_its_field_and_nothing_else(
    grid: Experiment, arguments: list[str], path: str, value: Any
) -> None:
    changed = overrides(*arguments).apply(grid)
    found: Any = changed
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value
    touched = {"budget", "strategy", "seed", "early_stopping", "finalists"}
    assert changed.model_dump(exclude=touched) == grid.model_dump(exclude=touched)
    assert changed.budget.epochs == (2 if path == "budget.epochs" else grid.budget.epochs)


def test_early_stopping_keeps_the_rungs_of_the_file_or_is_switched_off(adaptive: Experiment) -> None:
    assert overrides("--early-stopping", "on").apply(adaptive).early_stopping == adaptive.early_stopping
    assert overrides("--early-stopping", "off").apply(adaptive).early_stopping is None


def test_a_grid_drops_the_number_of_trials_of_another_strategy(grid: Experiment) -> None:
    many = overrides("--strategy", "tpe", "--trials", "9").apply(grid)
    assert overrides("--strategy", "grid").apply(many) == grid


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trials", "0"], "--trials: '0': input should be greater than or equal to 1"),
        (["--trials", "many"], "--trials: 'many': input should be a valid integer"),
        (["--minutes", "-1"], "--minutes: '-1': input should be greater than 0"),
        (["--strategy", "luck"], "--strategy: 'luck': input should be 'grid', 'sparse' or 'tpe'"),
        (["--early-stopping", "maybe"], "--early-stopping: 'maybe': input should be 'on' or 'off'"),
        (["--finalist-seeds", "101"], "--finalist-seeds: '101': input should be less than or equal to 100"),
    ],
)
def test_a_value_out_of_its_limits_is_named(arguments: list[str], message: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        overrides(*arguments)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trials", "9"], "budget.trials: 9 is not used by strategy grid"),
        (["--strategy", "tpe"], "budget.trials: missing; accepted for strategy tpe"),
        (["--epochs", "1", "--early-stopping", "on"], r"first_rung: 1; accepted: below budget.epochs \(1\)"),
    ],
)
def test_overrides_that_contradict_the_file_say_so(grid: Experiment, arguments: list[str], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^experiment digits as changed for this run: .*{message}"):
        overrides(*arguments).apply(grid)


def test_a_range_without_steps_is_no_grid(adaptive: Experiment) -> None:
    with pytest.raises(InvalidArgumentError, match=r"search.learning_rate: steps is missing"):
        overrides("--strategy", "grid").apply(adaptive)
