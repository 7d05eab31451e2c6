"""Tuning on a real standalone cluster of two workers, by spark-submit."""

import itertools
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from jobs.experiment import load_experiment
from jobs.tuning.leaderboard import Leaderboard, read_leaderboard
from jobs.tuning.tune import study_lock
from jobs.workspace import REPOSITORY
from tests.cluster_processes import kill_with_its_executor
from tests.conftest import Submitted, read_json
from tests.standalone_cluster import Cluster, standalone_cluster

pytestmark = pytest.mark.spark

ONE_CORE = {"spark.executor.cores": "1"}

EXPERIMENT = {
    "name": "small",
    "dataset": {"source": "digits", "seed": 1},
    "model": "mlp",
    "search": {"learning_rate": [0.001, 0.003, 0.01], "neurons": [16, 64]},
    "default": {"layers": 1, "neurons": 16, "learning_rate": 0.001, "batch_size": 32, "dropout": 0.2},
    "budget": {"epochs": 2},
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def experiment(workspace: Path) -> Path:
    path = workspace / "small.yaml"
    path.write_text(yaml.safe_dump(EXPERIMENT))
    return path


@pytest.fixture
def dataset(workspace: Path, experiment: Path, spark_submit: Callable[..., Submitted]) -> Path:
    result = workspace / "prepared.json"
    if not result.exists():
        done = spark_submit("prepare_dataset", "--experiment", experiment, "--workspace", workspace, "--result", result)
        assert done.returncode == 0, done.stderr
    return Path(read_json(result)["folder"])


@pytest.fixture
def board(
    workspace: Path, experiment: Path, dataset: Path, cluster: Cluster, spark_submit: Callable[..., Submitted]
) -> Leaderboard:
    """The leaderboard of a study that ran on the cluster; it runs once for all tests of this module."""
    arguments = ("--experiment", experiment, "--dataset", dataset, "--study", "night", "--workspace", workspace)
    if not (workspace / "tuned.json").exists():
        done = spark_submit(
            "tune_model", *arguments, "--result", workspace / "tuned.json", conf=ONE_CORE, master=cluster.master
        )
        assert done.returncode == 0, done.stderr
        (workspace / "tune.log").write_text(done.stdout)
    return read_leaderboard(workspace / "studies" / "night")


def test_every_point_of_the_grid_is_trained(board: Leaderboard, experiment: Path) -> None:
    asked = load_experiment(experiment)
    assert {trial.hyperparameters for trial in board.trials} == set(asked.search.grid(asked.default))
    assert all(trial.state == "complete" for trial in board.trials)


def test_both_executors_work_and_never_two_trials_at_once_on_one(board: Leaderboard) -> None:
    executors = {trial.executor for trial in board.trials}
    assert len(executors) == 2
    for executor in executors:
        spans = sorted((trial.started_at, trial.finished_at) for trial in board.trials if trial.executor == executor)
        for (_, ended), (began, _) in itertools.pairwise(spans):
            assert began >= ended, f"two trials at once on {executor}"


def test_trials_on_two_executors_overlap_in_time(board: Leaderboard) -> None:
    pairs = itertools.combinations(board.trials, 2)
    assert any(
        one.executor != other.executor and one.started_at < other.finished_at and other.started_at < one.finished_at
        for one, other in pairs
    )


def test_the_result_names_the_best_trial_and_the_executors(board: Leaderboard, workspace: Path) -> None:
    result = read_json(workspace / "tuned.json")
    best = board.best()
    assert best is not None
    assert result["best_trial"] == best.number
    assert result["best_validation_accuracy"] == max(trial.validation_accuracy or 0 for trial in board.trials)
    assert result["complete"] == len(board.trials)
    assert len(result["executors"]) == 2


def test_the_log_shows_progress_with_time_left(board: Leaderboard, workspace: Path) -> None:
    lines = [line for line in (workspace / "tune.log").read_text().splitlines() if line.startswith("progress: ")]
    assert len(lines) == len(board.trials)
    assert lines[-1].startswith(f"progress: {len(board.trials)}/{len(board.trials)} trials, 0 running, best ")
    assert lines[0].endswith(" left")


def test_every_trial_is_in_mlflow_with_its_learning_curve(board: Leaderboard, workspace: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{workspace / 'mlflow' / 'mlflow.db'}")
    known = client.get_experiment_by_name("small")
    runs = client.search_runs([known.experiment_id], "tags.`atoll.trial` != ''")
    assert len(runs) == len(board.trials)
    for run in runs:
        trial = next(one for one in board.trials if one.number == int(run.data.tags["atoll.trial"]))
        assert run.data.tags["atoll.executor"] == trial.executor
        assert float(run.data.params["learning_rate"]) == trial.hyperparameters.learning_rate
        curve = client.get_metric_history(run.info.run_id, "validation_accuracy")
        assert [point.value for point in curve] == [score.validation_accuracy for score in trial.curve]
        assert run.data.tags["mlflow.parentRunId"]


def test_a_finished_study_is_not_trained_again(
    board: Leaderboard,
    workspace: Path,
    experiment: Path,
    dataset: Path,
    cluster: Cluster,
    spark_submit: Callable[..., Submitted],
) -> None:
    arguments = ("--experiment", experiment, "--dataset", dataset, "--study", "night", "--workspace", workspace)
    done = spark_submit("tune_model", *arguments, conf=ONE_CORE, master=cluster.master)
    assert done.returncode == 0, done.stderr
    assert "progress:" not in done.stdout
    assert read_leaderboard(workspace / "studies" / "night") == board


def test_a_second_driver_on_the_same_study_says_so(
    workspace: Path, experiment: Path, dataset: Path, spark_submit: Callable[..., Submitted]
) -> None:
    arguments = ("--experiment", experiment, "--dataset", dataset, "--study", "held", "--workspace", workspace)
    with study_lock(workspace / "studies" / "held"):
        done = spark_submit("tune_model", *arguments)
    assert done.returncode == 2
    assert (
        "tune_model: error: study held: another driver works on it" in done.stdout
    )  # spark-submit sends its driver's errors there
    assert "Traceback" not in done.stdout


def test_executors_of_unknown_size_are_refused(
    workspace: Path, experiment: Path, dataset: Path, cluster: Cluster, spark_submit: Callable[..., Submitted]
) -> None:
    arguments = ("--experiment", experiment, "--dataset", dataset, "--study", "unsized", "--workspace", workspace)
    done = spark_submit("tune_model", *arguments, master=cluster.master)
    assert done.returncode == 2
    assert "tune_model: error: spark.executor.cores is not set" in done.stdout


def test_a_damaged_data_set_is_refused_before_any_trial(
    workspace: Path, experiment: Path, dataset: Path, spark_submit: Callable[..., Submitted]
) -> None:
    arguments = ("--experiment", experiment, "--dataset", dataset, "--study", "damaged", "--workspace", workspace)
    (dataset / "train.npz").rename(dataset / "train.kept")
    try:
        done = spark_submit("tune_model", *arguments)
    finally:
        (dataset / "train.kept").rename(dataset / "train.npz")
    assert done.returncode == 2
    assert "train.npz: missing" in done.stdout


def test_a_driver_killed_in_the_middle_is_taken_up_again(
    workspace: Path, experiment: Path, dataset: Path, cluster: Cluster, spark_submit: Callable[..., Submitted]
) -> None:
    study = workspace / "studies" / "killed"
    arguments = ("--experiment", experiment, "--dataset", dataset, "--study", "killed", "--workspace", workspace)
    command = ["spark-submit", "--master", cluster.master, "--conf", "spark.executor.cores=1", "jobs/tune_model.py"]
    with subprocess.Popen(
        [*command, *map(str, arguments)], cwd=REPOSITORY, start_new_session=True, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout
        told = next(line for line in first.stdout if line.startswith("progress: 2/"))
        os.killpg(first.pid, signal.SIGKILL)
    assert told
    kept = {path: path.stat().st_mtime_ns for path in study.glob("trials/*/epoch-*.npz")}
    done = spark_submit("tune_model", *arguments, conf=ONE_CORE, master=cluster.master)
    assert done.returncode == 0, done.stderr
    board = read_leaderboard(study)
    asked = load_experiment(experiment)
    assert sorted(trial.hyperparameters.model_dump_json() for trial in board.trials) == sorted(
        point.model_dump_json() for point in asked.search.grid(asked.default)
    )
    written_once = [path for path, written in kept.items() if path.exists() and path.stat().st_mtime_ns == written]
    assert len({path.parent for path in written_once}) >= 2  # the two that had finished when the driver was killed


def test_a_cluster_that_gives_no_executor_any_more_ends_the_driver(
    workspace: Path, experiment: Path, dataset: Path, tmp_path: Path
) -> None:
    arguments = ("--experiment", experiment, "--dataset", dataset, "--study", "left", "--workspace", workspace)
    settings = ("--conf", "spark.executor.cores=1", "--conf", "spark.atoll.executorWait=20")
    with standalone_cluster(tmp_path, workers=1) as small:
        command = ["spark-submit", "--master", small.master, *settings, "jobs/tune_model.py", *map(str, arguments)]
        with subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as driver:
            assert driver.stdout
            assert any(line.startswith("progress: 1/") for line in driver.stdout)
            kill_with_its_executor(small.workers[0])
            said = driver.stdout.read()
    assert f"{small.master} has given no executor for 20 s" in said
    assert driver.returncode != 0
    board = read_leaderboard(workspace / "studies" / "left")
    assert {trial.state for trial in board.trials} == {"complete"}, "what was at work is begun again, not failed"


def test_the_same_seed_gives_the_same_weights(board: Leaderboard, workspace: Path, dataset: Path) -> None:
    from jobs.datasets.dataset import read_split
    from jobs.models.training import Samples
    from jobs.tuning.trial import ModelDescription, TrialSpecification, run_trial

    trial = board.trials[0]
    description = ModelDescription("mlp", (8, 8, 1), 10, 2, 0, workspace / "again")
    train, validation = (Samples(*read_split(dataset, split)) for split in ("train", "validation"))
    outcome = run_trial(TrialSpecification(0, trial.hyperparameters, 0, 2), description, train, validation, 1, "here")
    assert outcome.validation_accuracy == pytest.approx(trial.validation_accuracy, abs=0.01)
    folders = (workspace / "again", workspace / "studies" / "night")
    one, other = (np.load(folder / "trials" / "0000" / "epoch-00002.00000.npz") for folder in folders)
    for name in one.files:
        np.testing.assert_allclose(one[name], other[name], atol=1e-3)
