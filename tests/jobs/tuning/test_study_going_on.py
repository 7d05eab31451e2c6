"""Early stopping, going on and budgets, as the saved study decides them; executors are played by the test."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import InvalidStudyError
from jobs.experiment import Experiment
from jobs.models.hyperparameters import Hyperparameters
from jobs.tuning.storage import study_storage
from jobs.tuning.study import Study
from jobs.tuning.trial import TrialSpecification
from tests.jobs.tuning.outcomes import DEFAULT, outcome, ran


def experiment(**changes: Any) -> Experiment:
    """A grid of nine learning rates besides the default's, with rungs at 1, 3 and 9 epochs."""
    content = {
        "name": "small",
        "dataset": {"source": "digits"},
        "model": "mlp",
        "search": {"learning_rate": [number / 100 for number in range(1, 10)]},
        "default": DEFAULT,
        "budget": {"epochs": 9},
        "early_stopping": {"first_rung": 1, "reduction": 3},
    }
    return Experiment.model_validate(content | changes)


def quality(point: Hyperparameters) -> float:
    """The accuracy that a point shows: the learning rate 0.07 is the best."""
    return 0.9 - abs(point.learning_rate - 0.07)


Opened = Callable[..., Study]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    def open_study(asked: Experiment, **options: Any) -> Study:
        return Study(study_storage(tmp_path), "study", asked, "f00d", **options)

    return open_study


def play(study: Study, asked: Experiment, most: int = 1000) -> list[TrialSpecification]:
    """One executor that does what it is told; gives all that it was told."""
    told: list[TrialSpecification] = []
    while len(told) < most and (trial := study.next_trial()):
        told.append(trial)
        study.report(ran(trial, quality(trial.hyperparameters), budget=asked.budget.epochs))
    return told


def epochs(told: list[TrialSpecification]) -> int:
    return sum(trial.until - trial.done for trial in told)


def test_good_trials_go_on_and_bad_ones_stay_at_their_rung(opened: Opened) -> None:
    study = opened(experiment())
    told = play(study, experiment())
    assert {trial.until for trial in told} == {1, 3, 9}
    assert all((trial.done, trial.until) in {(0, 1), (1, 3), (3, 9)} for trial in told)
    state = {one.hyperparameters.learning_rate: one.state for one in study.outcomes()}
    assert state[0.07] == "complete"
    assert state[DEFAULT.learning_rate] == "complete", "the winner is compared with it"
    assert sum(one == "paused" for one in state.values()) >= 5
    assert epochs(told) < 10 * 9 * 0.7, "even where each trial is better than all before it"
    assert not study.unfinished()


def test_a_driver_that_takes_the_study_up_decides_as_if_nothing_had_happened(tmp_path: Path) -> None:
    asked = experiment()
    whole = play(Study(study_storage(tmp_path / "one"), "study", asked, "f00d"), asked)
    parts: list[TrialSpecification] = []
    for _ in range(len(whole) + 1):
        parts += play(Study(study_storage(tmp_path / "two"), "study", asked, "f00d"), asked, most=1)
    assert parts == whole


def test_what_ran_when_the_driver_died_runs_again_from_its_checkpoint(opened: Opened) -> None:
    asked = experiment()
    first = opened(asked)
    play(first, asked, most=4)
    lost = [first.next_trial(), first.next_trial()]
    second = opened(asked)
    assert [second.next_trial(), second.next_trial()] == lost


def test_a_trial_that_goes_on_is_told_what_its_earlier_runs_took(opened: Opened) -> None:
    told = play(opened(experiment()), experiment())
    assert {trial.done: trial.spent for trial in told} == {0: 0.0, 1: 2.0, 3: 4.0}


def test_a_larger_budget_goes_on_with_what_is_known(opened: Opened) -> None:
    grid = experiment(early_stopping=None, budget={"epochs": 2})
    play(opened(grid), grid)
    longer = experiment(early_stopping=None, budget={"epochs": 5})
    told = play(opened(longer), longer)
    assert {(trial.done, trial.until) for trial in told} == {(2, 5)}
    assert len(told) == 10
    assert all(one.epochs == 5 and one.state == "complete" for one in opened(longer).outcomes())


def test_a_narrower_space_repeats_nothing(opened: Opened) -> None:
    coarse = experiment(early_stopping=None, budget={"epochs": 2})
    known = {trial.hyperparameters for trial in play(opened(coarse), coarse)}
    fine = experiment(early_stopping=None, budget={"epochs": 2}, search={"learning_rate": [0.065, 0.07, 0.075]})
    told = play(opened(fine), fine)
    assert sorted(trial.hyperparameters.learning_rate for trial in told) == [0.065, 0.075]
    assert not {trial.hyperparameters for trial in told} & known


@pytest.mark.parametrize("field", ["model", "seed", "default"])
def test_a_study_cannot_become_another_one(opened: Opened, field: str) -> None:
    opened(experiment())
    other = {"model": "cnn", "seed": 5, "default": DEFAULT.model_copy(update={"layers": 2})}[field]
    with pytest.raises(InvalidStudyError, match=f"was begun with {field} .*; accepted: the same, or a new name"):
        opened(experiment(**{field: other}))


@pytest.mark.parametrize("strategy", ["sparse", "tpe"])
@pytest.mark.parametrize("early_stopping", [None, {"reduction": 2}])
def test_every_strategy_begins_with_the_default_and_keeps_to_its_trials(
    opened: Opened, strategy: str, early_stopping: dict[str, int] | None
) -> None:
    space = {"learning_rate": {"low": 1e-3, "high": 0.2, "log": True}, "neurons": [16, 32]}
    asked = experiment(
        strategy=strategy, search=space, budget={"epochs": 4, "trials": 12}, early_stopping=early_stopping
    )
    told = play(opened(asked), asked)
    assert told[0].hyperparameters == DEFAULT
    assert len({trial.number for trial in told}) == 12
    assert (epochs(told) < 48) == (early_stopping is not None)
    assert play(opened(asked), asked) == []


@pytest.mark.parametrize("strategy", ["grid", "sparse", "tpe"])
def test_points_to_try_first_come_right_after_the_default(opened: Opened, strategy: str) -> None:
    asked = experiment(
        strategy=strategy,
        search={"learning_rate": [0.01, 0.02, 0.03]},
        budget={"epochs": 4} | ({} if strategy == "grid" else {"trials": 4}),
        try_first=[{"neurons": 77}, {"learning_rate": 0.02}],
        early_stopping=None,
    )
    told = [trial.hyperparameters for trial in play(opened(asked), asked)]
    assert [point.neurons for point in told[:3]] == [DEFAULT.neurons, 77, DEFAULT.neurons]
    assert told[2].learning_rate == 0.02
    assert len(set(told)) == len(told) >= 4


def test_a_proposal_that_is_known_is_not_tried_again(opened: Opened) -> None:
    asked = experiment(
        strategy="tpe",
        search={"learning_rate": [0.01, 0.02, 0.03]},
        budget={"epochs": 1, "trials": 9},
        early_stopping=None,
    )
    told = [trial.hyperparameters for trial in play(opened(asked), asked)]
    assert sorted(point.learning_rate for point in told) == [DEFAULT.learning_rate, 0.01, 0.02, 0.03]


def test_learning_rates_that_fall_over_a_trial_keep_its_length(opened: Opened) -> None:
    falling = {"learning_rate": [0.01], "schedule": ["cosine"]}
    opened(experiment(search=falling))
    opened(experiment(search=falling))
    with pytest.raises(InvalidStudyError, match=r"budget.epochs 9, over which .*; accepted: the same, or a new name"):
        opened(experiment(search=falling, budget={"epochs": 27}))


def test_nothing_new_begins_after_the_time_is_spent(opened: Opened) -> None:
    now = [0.0]
    asked = experiment(budget={"epochs": 9, "minutes": 1})
    study = opened(asked, clock=lambda: now[0])
    play(study, asked, most=3)
    now[0] = 61
    assert study.next_trial() is None
    assert study.over() == "the budget of 1 min is spent"
    assert len(study.outcomes()) == 3


def test_the_study_ends_when_its_target_is_reached(opened: Opened) -> None:
    asked = experiment(budget={"epochs": 9, "target": 0.85})
    study = opened(asked)
    play(study, asked)
    assert study.over() == "the target of 85.00% is reached"
    assert len(study.outcomes()) < 10


def test_when_every_trial_fails_for_the_same_reason_the_study_says_so_early(opened: Opened) -> None:
    study = opened(experiment())
    told = 0
    while trial := study.next_trial():
        told += 1
        study.report(outcome(trial.number, None, **trial.hyperparameters.model_dump()))
    assert told == 3
    assert study.over() == "all of the first 3 trials failed for the same reason"


def test_one_bad_trial_does_not_end_a_study(opened: Opened) -> None:
    asked = experiment()
    study = opened(asked)
    failing = study.next_trial()
    assert failing
    study.report(outcome(failing.number, None, **failing.hyperparameters.model_dump()))
    play(study, asked)
    assert len(study.outcomes()) == 10
