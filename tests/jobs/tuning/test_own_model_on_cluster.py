"""A model of the user's own on a real cluster: its code travels, and whatever it does wrong is a result."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from jobs.tuning.leaderboard import read_leaderboard
from tests.conftest import Submitted, read_json
from tests.standalone_cluster import Cluster, standalone_cluster

pytestmark = pytest.mark.spark

NETS = """
import os
import signal

import keras


def build(hyperparameters, image_shape, classes):
    style = hyperparameters["style"]
    if style == "raises":
        raise ValueError("growth is too small for me")
    if style == "is_killed":  # what the kernel does to a process that takes more memory than there is
        os.kill(os.getpid(), signal.SIGKILL)
    if style == "is_no_model":
        return hyperparameters
    inputs = keras.Input(image_shape)
    outputs = keras.layers.Flatten()(inputs)
    outputs = keras.layers.Dense(16 * hyperparameters["growth"], activation="gelu")(outputs)
    if style == "forgets_the_classes":
        return keras.Model(inputs, outputs)
    return keras.Model(inputs, keras.layers.Dense(classes)(outputs))
"""

EXPERIMENT = {
    "name": "own",
    "dataset": {"source": "digits", "seed": 1},
    "model": "my_nets.dense:build",
    "code": ["my_nets"],
    "search": {
        "growth": [1, 4],
        "style": {
            "values": ["plain", "raises", "is_killed", "is_no_model", "forgets_the_classes"],
            "when": {"growth": 1},
        },
    },
    "default": {"learning_rate": 0.003, "batch_size": 32, "growth": 1, "style": "plain"},
    "budget": {"epochs": 3},
    "finalists": {"trials": 2, "seeds": 2},
}


def test_its_code_travels_and_each_way_to_go_wrong_is_a_line_of_the_leaderboard(
    tmp_path: Path, cluster: Cluster, spark_submit: Callable[..., Submitted]
) -> None:
    (tmp_path / "my_nets").mkdir()
    (tmp_path / "my_nets" / "__init__.py").write_text("")
    (tmp_path / "my_nets" / "dense.py").write_text(NETS)
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(EXPERIMENT))
    common = ("--workspace", tmp_path)
    prepared = spark_submit("prepare_dataset", "--experiment", path, *common, "--result", tmp_path / "prepared.json")
    assert prepared.returncode == 0, prepared.stderr
    dataset = read_json(tmp_path / "prepared.json")["folder"]
    tuned = spark_submit(
        "tune_model", "--experiment", path, "--dataset", dataset, "--study", "own", *common,
        conf={"spark.executor.cores": "1"}, master=cluster.master,
    )  # fmt: skip
    assert tuned.returncode == 0, tuned.stderr

    board = read_leaderboard(tmp_path / "studies" / "own")
    trials = {(trial.hyperparameters.growth, trial.hyperparameters.style): trial for trial in board.trials}
    assert len(trials) == 6
    assert {key: trial.state for key, trial in trials.items() if trial.state == "complete"}.keys() == {
        (1, "plain"), (4, "plain"),
    }  # fmt: skip
    raised = trials[1, "raises"]
    assert raised.reason == "ValueError: growth is too small for me"
    assert "my_nets/dense.py" in (raised.traceback or "")
    assert "gives dict; accepted: a keras.Model" in (trials[1, "is_no_model"].reason or "")
    assert "to (None, 16); accepted: (None, 8, 8, 1)" in (trials[1, "forgets_the_classes"].reason or "")
    assert (trials[1, "is_killed"].reason or "").startswith("executor lost: ")
    assert "growth is too small for me" in tuned.stdout, "the log tells it too"

    assert [(one.hyperparameters.growth, one.repeat, one.state) for one in board.repeats] == [
        (1, 1, "complete"), (4, 1, "complete"),
    ]  # fmt: skip
    first, second = (one.curve[-1].validation_loss for one in (trials[4, "plain"], board.repeats[1]))
    assert first != second, "another seed gives another network"

    selected = spark_submit("select_model", "--study", "own", *common, "--result", tmp_path / "selected.json")
    assert selected.returncode == 0, selected.stderr
    assert read_json(tmp_path / "selected.json")["winner"]["accuracy"] > 0.8


def test_a_trial_sees_the_gpus_of_its_executor_and_no_others(
    tmp_path: Path, spark_submit: Callable[..., Submitted]
) -> None:
    (tmp_path / "tells.py").write_text(
        "import os\n\n\ndef build(hyperparameters, image_shape, classes):\n"
        "    raise ValueError('sees ' + os.environ['CUDA_VISIBLE_DEVICES'])\n"
    )
    path = tmp_path / "gpus.yaml"
    changes = {"name": "gpus", "model": "tells:build", "code": ["tells.py"], "search": {"growth": [1, 2, 3]}}
    path.write_text(yaml.safe_dump({key: EXPERIMENT[key] for key in ("dataset", "default", "budget")} | changes))
    prepared = tmp_path / "prepared.json"
    spark_submit("prepare_dataset", "--experiment", path, "--workspace", tmp_path, "--result", prepared)
    with standalone_cluster(tmp_path, workers=1, gpus=("4", "7")) as with_gpus:
        done = spark_submit(
            "tune_model", "--experiment", path, "--dataset", read_json(prepared)["folder"], "--study", "gpus",
            "--workspace", tmp_path,
            conf={
                "spark.executor.cores": "1", "spark.executor.memory": "512m", "spark.executor.resource.gpu.amount": "2",
            },
            master=with_gpus.master,
        )  # fmt: skip
    trials = read_leaderboard(tmp_path / "studies" / "gpus").trials
    assert done.returncode != 0, "every trial failed"
    assert {tuple(sorted((trial.reason or "").split()[-1].split(","))) for trial in trials} == {("4", "7")}
