"""Images and a model of the user's own on a real cluster, from the folder to the labels: colour, not square, some damaged."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from jobs.tuning.leaderboard import read_leaderboard
from tests.conftest import Submitted, read_json
from tests.jobs.datasets.pictures import CLASSES, encode, huge_png, shape, write_shapes
from tests.standalone_cluster import Cluster

pytestmark = pytest.mark.spark

EACH = 40
NEW = 20

CONF = {"spark.executor.cores": "1", "spark.executor.memory": "512m"}

NETWORK = """
import keras

def build(hyperparameters, image_shape, classes):
    outputs = inputs = keras.Input(image_shape)
    for times in (1, 2):
        outputs = keras.layers.Conv2D(times * hyperparameters["width"], 3, strides=2, activation="relu")(outputs)
    outputs = keras.layers.GlobalAveragePooling2D()(outputs)
    return keras.Model(inputs, keras.layers.Dense(classes)(outputs))
"""

EXPERIMENT = {
    "name": "shapes",
    "dataset": {
        "source": "image_folder", "folder": "images", "image_size": [32, 48], "seed": 3,
        "split": {"train": 0.6, "validation": 0.2, "test": 0.2}, "max_quarantined": 0.03,
    },
    "model": "nets:build",
    "code": ["nets.py"],
    "search": {"width": [16]},
    "default": {"learning_rate": 0.01, "batch_size": 12, "width": 8},
    "budget": {"epochs": 12},
}  # fmt: skip


@dataclass(frozen=True)
class Chain:
    """What each step left.

    Attributes:
        dataset: Result of `prepare_dataset`.
        study: Folder of the study.
        selected: Result of `select_model`.
        labelled: Result of `label_images`.
    """

    dataset: dict[str, Any]
    study: Path
    selected: dict[str, Any]
    labelled: dict[str, Any]


@pytest.fixture
def chain(tmp_path: Path, cluster: Cluster, spark_submit: Callable[..., Submitted]) -> Chain:
    write_shapes(tmp_path / "images", EACH)
    (tmp_path / "images" / "circle" / "cut.png").write_bytes(encode(shape("circle", 0), "PNG")[:200])
    (tmp_path / "images" / "square" / "huge.png").write_bytes(huge_png())
    (tmp_path / "images" / "triangle" / "notes.txt").write_text("not a picture")
    (tmp_path / "shapes.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    (tmp_path / "nets.py").write_text(NETWORK)
    write_shapes(tmp_path / "new", NEW, first=EACH)

    def run(job: str, *arguments: object, executors: int = 2) -> dict[str, Any]:
        result = tmp_path / f"{job}.json"
        done = spark_submit(
            job, *arguments, "--workspace", tmp_path / "home", "--result", result,
            conf=CONF | {"spark.cores.max": str(executors)}, master=cluster.master,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return read_json(result)

    experiment = ("--experiment", tmp_path / "shapes.yaml")
    dataset = run("prepare_dataset", *experiment)
    run("tune_model", *experiment, "--dataset", dataset["folder"], "--study", "shapes")
    selected = run("select_model", "--study", "shapes")
    model = ("--model", "shapes", "--model-version", selected["model_version"])
    new = ("--images", tmp_path / "new", "--output", tmp_path / "labelled")
    labelled = run("label_images", *model, *new, executors=1)
    return Chain(dataset, tmp_path / "home" / "studies" / "shapes", selected, labelled)


def test_a_folder_of_images_becomes_a_model_that_labels_new_ones_with_the_names_of_its_sub_folders(
    chain: Chain,
) -> None:
    assert chain.dataset["classes"] == list(CLASSES)
    assert chain.dataset["image_shape"] == [32, 48, 3]
    assert [chain.dataset[split] for split in ("train", "validation", "test")] == [72, 24, 24]
    assert chain.dataset["quarantined"] == {"unreadable": 1, "too_large": 1, "not_an_image": 1}

    trials = read_leaderboard(chain.study).trials
    assert [(trial.state, trial.reason) for trial in trials] == [("complete", None)] * 2
    assert len({trial.executor for trial in trials}) == 2

    assert chain.selected["test_images"] == 24
    assert chain.selected["winner"]["accuracy"] >= 0.9
    assert Path(chain.selected["graph"]).with_name("labels.txt").read_text().splitlines() == list(CLASSES)

    assert (chain.labelled["labelled"], chain.labelled["quarantined"]) == (3 * NEW, 0)
    rows = pq.read_table(chain.labelled["labels"]).to_pylist()
    right = sum(row["label"] == row["image"].split("/")[0] for row in rows)
    assert right >= 0.9 * len(rows), f"{right} of {len(rows)}"
