"""The grid study and its leaderboard, on Optuna's own storage."""

from pathlib import Path

import pytest

from jobs.errors import InvalidStudyError, ServiceUnavailableError
from jobs.experiment import Experiment, load_experiment
from jobs.tuning.leaderboard import Leaderboard, LiveLeaderboard, read_leaderboard
from jobs.tuning.search_space import SearchSpace
from jobs.tuning.storage import study_storage
from jobs.tuning.study import Study
from jobs.workspace import REPOSITORY
from tests.jobs.tuning.outcomes import DEFAULT, outcome, ran


@pytest.fixture
def experiment() -> Experiment:
    return load_experiment(REPOSITORY / "experiments" / "digits.yaml")


def open_study(folder: Path, experiment: Experiment, dataset: str = "f00d") -> Study:
    return Study(study_storage(folder), "study", experiment, dataset)


def test_the_default_hyperparameters_come_first_and_every_point_once(tmp_path: Path, experiment: Experiment) -> None:
    study = open_study(tmp_path, experiment)
    given = []
    while trial := study.next_trial():
        given.append(trial.hyperparameters)
        study.report(ran(trial, 0.5, budget=15))
    assert given == experiment.search.grid(experiment.default)
    assert given[0] == experiment.default


def test_a_driver_that_takes_up_a_study_repeats_no_finished_trial_and_loses_no_running_one(
    tmp_path: Path, experiment: Experiment
) -> None:
    first = open_study(tmp_path, experiment)
    done = first.next_trial()
    failed = first.next_trial()
    interrupted = first.next_trial()
    assert done
    assert failed
    assert interrupted
    first.report(ran(done, 0.9, budget=15))
    first.report(outcome(failed.number, None, **failed.hyperparameters.model_dump()))

    second = open_study(tmp_path, experiment)
    given = []
    while trial := second.next_trial():
        given.append(trial.hyperparameters)
        second.report(ran(trial, 0.5, budget=15))
    assert done.hyperparameters not in given
    assert failed.hyperparameters not in given
    assert interrupted.hyperparameters in given
    assert len(given) == second.size - 2
    assert len(second.outcomes()) == second.size
    assert open_study(tmp_path, experiment).next_trial() is None


def test_a_study_of_another_data_set_or_experiment_is_refused(tmp_path: Path, experiment: Experiment) -> None:
    open_study(tmp_path, experiment)
    with pytest.raises(InvalidStudyError, match="was begun with data set f00d"):
        open_study(tmp_path, experiment, "beef")
    with pytest.raises(InvalidStudyError, match="was begun with seed 2016"):
        open_study(tmp_path, experiment.model_copy(update={"seed": 7}))


def test_a_database_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOLL_OPTUNA_STORAGE", "postgresql://127.0.0.1:1/optuna")
    with pytest.raises(ServiceUnavailableError, match="ATOLL_OPTUNA_STORAGE"):
        study_storage(tmp_path)


def test_the_leaderboard_ranks_by_validation_and_puts_failures_last(tmp_path: Path, experiment: Experiment) -> None:
    trials = [
        outcome(0, 0.9),
        outcome(1, None, neurons=64),
        outcome(2, 0.95, neurons=128),
        outcome(3, 0.95, neurons=256),
    ]
    board = Leaderboard(study="s", experiment=experiment, dataset="d", dataset_fingerprint="f", trials=trials)
    board.write(tmp_path)
    read = read_leaderboard(tmp_path)
    assert [trial.number for trial in read.ranked()] == [2, 3, 0, 1]
    assert read.best() == trials[2]
    assert read.default() == trials[0]
    assert trials[0].hyperparameters == DEFAULT


def test_a_study_without_a_complete_trial_has_no_best(experiment: Experiment) -> None:
    board = Leaderboard(
        study="s", experiment=experiment, dataset="d", dataset_fingerprint="f", trials=[outcome(0, None)]
    )
    assert board.best() is None


def test_a_missing_or_damaged_leaderboard_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidStudyError, match="no such study"):
        read_leaderboard(tmp_path)
    (tmp_path / "leaderboard.json").write_text('{"study": 1}')
    with pytest.raises(InvalidStudyError, match=r"leaderboard\.json"):
        read_leaderboard(tmp_path)


def test_the_longest_trials_of_a_grid_begin_first(tmp_path: Path, experiment: Experiment) -> None:
    asked = experiment.model_copy(update={"search": SearchSpace(neurons=[16, 64, 32, 128])})
    study = Study(study_storage(tmp_path), "study", asked, "f00d", cost=lambda point: float(point.neurons))
    default, *others = [trial.hyperparameters for trial in iter(study.next_trial, None)]
    assert default == asked.default
    assert [point.neurons for point in others] == [128, 64, 16]  # the default has 32


def test_a_leaderboard_that_is_watched_is_written_every_few_seconds(tmp_path: Path, experiment: Experiment) -> None:
    trials = [outcome(0, 0.5)]
    now = [0.0]

    def board() -> Leaderboard:
        return Leaderboard(
            study="study", experiment=experiment, dataset="", dataset_fingerprint="", trials=list(trials)
        )  # fmt: skip

    live = LiveLeaderboard(tmp_path, board, clock=lambda: now[0])
    live.refresh()
    for second, shown in ((1.0, 1), (4.9, 1), (5.0, 4), (9.0, 4), (11.0, 6)):
        trials.append(outcome(len(trials), 0.5))
        now[0] = second
        live.refresh()
        assert len(read_leaderboard(tmp_path).trials) == shown
