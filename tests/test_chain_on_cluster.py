"""The whole night on real parts: Airflow runs both DAGs on a standalone cluster of two workers, with real MNIST."""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from jobs.datasets.mnist import read_mnist
from jobs.registry.final_test import encode_images
from jobs.results import (
    GateDecision,
    LabelledImageSet,
    PreparedDataset,
    Promotion,
    QualityCheck,
    RolledBack,
    SelectedModel,
    TunedStudy,
)
from jobs.tuning.leaderboard import read_leaderboard
from jobs.workspace import REPOSITORY, Workspace, file_name
from local.environment import USER
from local.errors import AirflowRequestError
from local.processes import ProcessRecord
from local.progress import PlainDisplay, TaskView
from local.rest import Airflow, Run
from local.runs import follow, wait_for_dags
from local.settings import Settings
from local.stack import Stack
from tests.conftest import read_json
from tests.standalone_cluster import Cluster

pytestmark = [pytest.mark.spark, pytest.mark.stack, pytest.mark.timeout(1800)]

LABELLED = 200

DAY = date(2026, 3, 1)

OUT_OF_RANGE: list[tuple[str, dict[str, str | int | None]]] = [
    ("tune_model", {"experiment": "nosuch"}),
    ("tune_model", {"trials": 0}),
    ("label_images", {"top_k": 101}),
    ("label_images", {"image_set": "../elsewhere"}),
    ("roll_back_model", {"version": 1}),  # and nobody says why
]


@dataclass(frozen=True)
class Night:
    """What both DAG runs left.

    Attributes:
        workspace: Where everything lies.
        shown: The lines that a person who watched has seen.
        tuning: The run of `tune_model`.
        labelling: The run of `label_images`.
        truth: The true class of each image, by name; a damaged file has none.
    """

    workspace: Workspace
    shown: list[str]
    tuning: Run
    labelling: Run
    prepared: PreparedDataset
    tuned: TunedStudy
    selected: SelectedModel
    decision: GateDecision
    promotion: Promotion
    labelled: LabelledImageSet
    check: QualityCheck
    rolled_back: RolledBack
    refusals: list[str]
    truth: dict[str, str]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, test_data: Path) -> Iterator[Night]:
    """Starts the stack, runs `tune_model` and then `label_images` on MNIST, and stops the stack."""
    experiments = tmp_path_factory.mktemp("experiments")
    mnist = yaml.safe_load((REPOSITORY / "experiments" / "mnist.yaml").read_text())
    mnist["dataset"]["folder"] = str(test_data / "mnist")
    mnist["search"] = {"learning_rate": [0.001, 0.002], "neurons": [128]}
    mnist["budget"] = {"epochs": 2}
    (experiments / "mnist.yaml").write_text(yaml.safe_dump(mnist))
    stack = Stack(
        Settings.from_environment(
            {
                "ATOLL_HOME": str(tmp_path_factory.mktemp("night")),
                "ATOLL_SPARK_MASTER": cluster.master,
                "ATOLL_EXPERIMENTS": str(experiments),
            }
        )
    )
    try:
        state, _ = stack.up(owner=ProcessRecord.of(os.getpid()), mlflow=False)  # nothing runs by its schedule
        airflow = Airflow(state.airflow_url, USER, stack.secrets.admin_password)
        wait_for_dags(airflow, ["tune_model", "label_images", "roll_back_model"], None)
        yield run_night(airflow, stack.settings.workspace, test_data / "mnist")
        airflow.close()
    finally:
        stack.down()


def run_night(airflow: Airflow, workspace: Workspace, mnist: Path) -> Night:
    shown: list[str] = []
    display = PlainDisplay(shown.append)
    tuning = follow(airflow, "tune_model", {"experiment": "mnist", "executor_cores": 1}, display)
    conf = {
        "image_set": "mnist",
        "day": DAY.isoformat(),
        "model": "mnist",
        "executor_cores": 1,
        "top_k": 3,
    }
    late = LateImages(workspace.image_set("mnist", DAY), mnist, shown)
    labelling = follow(airflow, "label_images", conf, late)
    again = {"model": "mnist", "version": 1, "why": "to see who asks"}
    rolling_back = follow(airflow, "roll_back_model", again, display)
    return Night(
        workspace,
        shown,
        tuning,
        labelling,
        prepared=airflow.result(tuning, "prepare_dataset", PreparedDataset),
        tuned=airflow.result(tuning, "tune_model", TunedStudy),
        selected=airflow.result(tuning, "select_model", SelectedModel),
        decision=airflow.result(tuning, "gate_model", GateDecision),
        promotion=airflow.result(tuning, "promote_model", Promotion),
        labelled=airflow.result(labelling, "label_images", LabelledImageSet),
        check=airflow.result(labelling, "check_labels", QualityCheck),
        rolled_back=airflow.result(rolling_back, "roll_back", RolledBack),
        refusals=[refusal(airflow, dag, conf) for dag, conf in OUT_OF_RANGE],
        truth=late.truth,
    )


class LateImages(PlainDisplay):
    """Somebody who watches the run, and copies the images only once it waits for them."""

    def __init__(self, folder: Path, mnist: Path, shown: list[str]) -> None:
        super().__init__(shown.append)
        self._folder, self._mnist = folder, mnist
        self.truth: dict[str, str] = {}

    def show(self, tasks: list[TaskView]) -> None:
        super().show(tasks)
        if not self.truth and any(view.task.state == "deferred" for view in tasks):
            self.truth = write_images(self._folder, self._mnist)


def refusal(airflow: Airflow, dag: str, conf: dict[str, str | int | None]) -> str:
    with pytest.raises(AirflowRequestError) as refused:
        airflow.trigger(dag, "refused", conf)
    return str(refused.value)


def write_images(folder: Path, mnist: Path) -> dict[str, str]:
    """Writes the last images of MNIST's published test split as PNG, and one that is cut short."""
    source = read_mnist(mnist)
    folder.mkdir(parents=True)
    truth = {}
    encoded = list(encode_images(source.images[-LABELLED:]))
    for number, (content, label) in enumerate(zip(encoded, source.labels[-LABELLED:], strict=True)):
        (folder / f"{number:03}.png").write_bytes(content)
        truth[f"{number:03}.png"] = source.classes[label]
    (folder / "cut.png").write_bytes(encoded[0][:60])
    return truth


def test_the_champion_is_right_on_98_5_percent_of_the_published_test_split(night: Night) -> None:
    assert (night.prepared.train, night.prepared.validation, night.prepared.test) == (54_000, 6_000, 10_000)
    assert night.selected.test_images == 10_000
    assert night.selected.winner.accuracy >= 0.985
    assert night.promotion.promoted
    assert (night.decision.passed, night.decision.p_value) == (True, None)
    assert night.promotion.reason == night.decision.reason == "the first champion: there was none to compare with"
    assert night.promotion.champion_version == night.selected.model_version == 1


def test_both_executors_run_trials_and_never_two_at_once_on_one(night: Night) -> None:
    trials = read_leaderboard(Path(night.tuned.folder)).trials
    assert len(trials) == night.tuned.complete == 3, "two of the grid, and the default hyperparameters"
    executors = {trial.executor for trial in trials}
    assert executors == set(night.tuned.executors)
    assert len(executors) == 2
    for executor in executors:
        spans = sorted((trial.started_at, trial.finished_at) for trial in trials if trial.executor == executor)
        for (_, ended), (began, _) in itertools.pairwise(spans):
            assert began >= ended, f"two trials at once on {executor}"


def test_each_step_leaves_its_result_in_its_run_folder_and_hands_the_same_on(night: Night) -> None:
    for run, task, handed_on in (
        (night.tuning, "prepare_dataset", night.prepared),
        (night.tuning, "tune_model", night.tuned),
        (night.tuning, "select_model", night.selected),
        (night.labelling, "label_images", night.labelled),
    ):
        folder = night.workspace.root / "runs" / run.dag / file_name(run.id) / task
        assert read_json(folder / "result.json") == handed_on.model_dump(mode="json")


def test_one_lineage_runs_from_the_data_set_to_each_label(night: Night) -> None:
    assert night.selected.dataset_fingerprint == night.prepared.fingerprint
    assert night.selected.study == night.tuned.study
    rows = pq.read_table(night.labelled.labels).to_pylist()
    assert {(row["model_name"], row["model_version"], row["graph_sha256"]) for row in rows} == {
        ("mnist", night.selected.model_version, night.selected.graph_sha256)
    }


def test_every_image_of_the_day_is_labelled_or_in_quarantine(night: Night) -> None:
    root = night.workspace.root
    assert night.labelled.labels == str(root / "labels" / "mnist" / f"ds={DAY}")
    labels = {row["image"]: row for row in pq.read_table(night.labelled.labels).to_pylist()}
    quarantine = pq.read_table(night.labelled.quarantine).to_pylist()
    assert labels.keys() == night.truth.keys()
    assert [(row["image"], row["reason"]) for row in quarantine] == [("cut.png", "unreadable")]
    assert all(len(row["top_k"]) == 3 for row in labels.values())
    right = sum(labels[image]["label"] == label for image, label in night.truth.items())
    assert right >= 0.95 * LABELLED


def test_a_person_who_watches_sees_progress_with_the_best_so_far(night: Night) -> None:
    assert any("tune_model.tune_model: 3/3 trials" in line and "best" in line for line in night.shown)


def test_a_run_waits_for_images_that_come_late_and_checks_them_before_they_are_published(night: Night) -> None:
    assert any("wait_for_images" in line for line in night.shown)
    assert night.check.verdict == "passed"
    assert [measure.name for measure in night.check.measures] == ["quarantine"], "there is no earlier day"
    assert list(Path(night.labelled.labels).glob("*.parquet"))
    assert [path.name for path in Path(night.labelled.labels).parent.iterdir() if ".staged-" in path.name] == []


def test_the_server_refuses_what_is_out_of_range_and_says_what(night: Night) -> None:
    for (_, conf), refused in zip(OUT_OF_RANGE, night.refusals, strict=True):
        assert " 400 " in refused or " 422 " in refused, refused
        named = "why" if "version" in conf else next(iter(conf))
        assert named in refused


def test_whoever_makes_a_version_champion_is_recorded_by_name(night: Night) -> None:
    assert (night.rolled_back.changed, night.rolled_back.who) == (False, USER)
    assert night.rolled_back.why == "to see who asks"
