"""The best trials once more with other seeds: what runs, what is saved, and who wins."""

from pathlib import Path
from typing import Any

import pytest

from jobs.experiment import Experiment
from jobs.tuning.confidence import interval_of_mean, interval_of_share
from jobs.tuning.finals import Finals
from jobs.tuning.leaderboard import Leaderboard
from jobs.tuning.storage import study_storage
from jobs.tuning.study import Study
from jobs.tuning.trial import TrialSpecification, checkpoint_path
from tests.jobs.tuning.outcomes import DEFAULT, ran

LUCK = {0.07: 0.05}
"""The learning rate 0.07 is the third best, but lucky with the first seed."""


def experiment(**changes: Any) -> Experiment:
    content = {
        "name": "small",
        "dataset": {"source": "digits"},
        "model": "mlp",
        "search": {"learning_rate": [0.03, 0.05, 0.07, 0.09]},
        "default": DEFAULT,
        "budget": {"epochs": 8},
        "finalists": {"trials": 2, "seeds": 3},
    }
    return Experiment.model_validate(content | changes)


def accuracy(trial: TrialSpecification) -> float:
    rate = trial.hyperparameters.learning_rate
    return 0.9 - abs(rate - 0.05) + (LUCK.get(rate, 0.0) if trial.repeat == 0 else 0.001 * trial.repeat)


def play(folder: Path, asked: Experiment, most: int = 1000) -> tuple[Study, list[TrialSpecification]]:
    study = Study(study_storage(folder), "study", asked, "f00d")
    finals = Finals(study, asked.finalists)
    told: list[TrialSpecification] = []
    while len(told) < most and (trial := finals.next_trial()):
        told.append(trial)
        finals.report(ran(trial, accuracy(trial), budget=asked.budget.epochs))
    return study, told


def board(study: Study, asked: Experiment) -> Leaderboard:
    return Leaderboard(
        study="study", experiment=asked, dataset="", dataset_fingerprint="", trials=study.outcomes(), repeats=study.repeats()
    )  # fmt: skip


@pytest.mark.parametrize("early_stopping", [None, {"first_rung": 1, "reduction": 2}])
def test_each_finalist_is_trained_with_each_seed_after_the_study(
    tmp_path: Path, early_stopping: dict[str, int] | None
) -> None:
    asked = experiment(early_stopping=early_stopping)
    study, told = play(tmp_path, asked)
    first_repeat = next(place for place, trial in enumerate(told) if trial.repeat)
    assert all(trial.repeat for trial in told[first_repeat:]), "the finals come after the study"
    repeated = {(trial.hyperparameters.learning_rate, trial.repeat) for trial in told if trial.repeat}
    assert repeated == {(rate, repeat) for rate in (0.05, 0.07) for repeat in (1, 2)}
    assert all(repeat.state == "complete" and repeat.epochs == 8 for repeat in study.repeats())
    assert len({checkpoint_path(tmp_path, one.number, 8, one.repeat) for one in study.repeats()}) == 4


def test_the_mean_over_seeds_wins_and_not_the_luck_of_one(tmp_path: Path) -> None:
    asked = experiment()
    study, _ = play(tmp_path, asked)
    best = board(study, asked).best()
    assert best
    assert max(study.outcomes(), key=lambda one: one.validation_accuracy or 0).hyperparameters.learning_rate == 0.07
    assert best.hyperparameters.learning_rate == 0.05
    assert board(study, asked).over_seeds(best) == [0.9, 0.901, 0.902]


def test_a_driver_that_takes_up_the_finals_repeats_nothing(tmp_path: Path) -> None:
    asked = experiment()
    _, whole = play(tmp_path / "one", asked)
    _, first = play(tmp_path / "other", asked, most=len(whole) - 2)
    study, second = play(tmp_path / "other", asked)
    assert first + second == whole
    assert len(study.repeats()) == 4


def test_nothing_is_repeated_when_nobody_asks(tmp_path: Path) -> None:
    _, told = play(tmp_path, experiment(finalists=None))
    assert not any(trial.repeat for trial in told)


def test_intervals_are_those_of_the_tables() -> None:
    low, high = interval_of_mean([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - 2.484, 2 + 2.484), abs=0.001)  # t = 4.303, s = 1
    assert interval_of_share(9960, 10_000) == pytest.approx((0.99456, 0.99706), abs=0.00002)
    assert interval_of_share(0, 10)[0] == 0
    with pytest.raises(ValueError, match="1 values; accepted: at least 2"):
        interval_of_mean([1.0])
