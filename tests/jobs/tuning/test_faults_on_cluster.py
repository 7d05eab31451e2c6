"""What breaks under a study, on a real cluster of its own: nothing is lost, and the study goes on with what is left."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from jobs.tuning.leaderboard import Leaderboard, read_leaderboard
from jobs.workspace import REPOSITORY
from tests.cluster_processes import executor_of, python_worker_of
from tests.conftest import Submitted, read_json
from tests.standalone_cluster import Cluster, standalone_cluster

pytestmark = pytest.mark.spark

EXPERIMENT = {
    "name": "faults",
    "dataset": {"source": "digits", "seed": 1},
    "model": "mlp",
    "search": {"learning_rate": [0.0003, 0.001, 0.003, 0.01], "neurons": [16, 64, 128, 256]},
    "default": {"layers": 1, "neurons": 16, "learning_rate": 0.001, "batch_size": 8, "dropout": 0.2},
    "budget": {"epochs": 9},
    "early_stopping": {"first_rung": 3, "reduction": 3},
}


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Cluster]:
    with standalone_cluster(tmp_path, workers=2) as running:
        yield running


def test_a_lost_python_worker_executor_and_machine_cost_a_rung_each_at_most(
    tmp_path: Path, own_cluster: Cluster, spark_submit: Callable[..., Submitted]
) -> None:
    experiment = tmp_path / "faults.yaml"
    experiment.write_text(yaml.safe_dump(EXPERIMENT))
    workspace = tmp_path / "home"
    prepared = spark_submit(
        "prepare_dataset", "--experiment", experiment, "--workspace", workspace, "--result", tmp_path / "d.json"
    )
    assert prepared.returncode == 0, prepared.stderr
    first, second = own_cluster.workers
    faults = {
        3: lambda: python_worker_of(first).kill(),
        7: lambda: executor_of(second).kill(),
        11: lambda: (executor_of(first).kill(), first.kill()),
    }
    command = ["spark-submit", "--master", own_cluster.master, "--conf", "spark.executor.cores=1", "jobs/tune_model.py"]
    options = {"experiment": experiment, "dataset": read_json(tmp_path / "d.json")["folder"], "study": "s"}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    done = 0
    with subprocess.Popen(
        [*command, *arguments, "--workspace", str(workspace)],
        cwd=REPOSITORY,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as driver:
        try:
            assert driver.stdout
            for line in driver.stdout:
                done += line.startswith("progress: ")
                if line.startswith("progress: ") and done in faults:
                    faults.pop(done)()
        finally:
            if driver.poll() is None and not driver.stdout.closed:
                driver.wait(60)
            if driver.poll() is None:
                os.killpg(driver.pid, signal.SIGKILL)
    assert driver.returncode == 0
    assert faults == {}, "every fault was brought about"
    board = read_leaderboard(workspace / "studies" / "s")
    check_nothing_is_lost(board)


def check_nothing_is_lost(board: Leaderboard) -> None:
    assert {trial.state for trial in board.trials} == {"complete", "paused"}, "a lost executor is no failed trial"
    asked = board.experiment
    assert {trial.hyperparameters for trial in board.trials} == set(asked.search.grid(asked.default))
    for trial in board.trials:
        assert [score.epoch for score in trial.curve] == list(range(1, int(trial.epochs) + 1))
        assert sum(run.epochs for run in trial.runs) == trial.epochs in (3, 9)
    assert len({run.executor for trial in board.trials for run in trial.runs}) >= 3, "a new executor took over"
