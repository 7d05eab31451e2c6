"""A study in MLflow, with its store in a database file."""

from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from jobs.errors import ServiceUnavailableError
from jobs.registry.mlflow_client import open_client
from jobs.registry.tracking import TRIAL_TAG, StudyTracking
from jobs.tuning.trial import TrialSpecification
from jobs.workspace import Workspace
from tests.jobs.tuning.outcomes import DEFAULT, outcome, ran


def trials_of(client: MlflowClient, study: str) -> dict[str, Run]:
    runs = client.search_runs([client.get_run(study).info.experiment_id])
    return {run.data.tags[TRIAL_TAG]: run for run in runs if run.info.run_id != study}


def test_a_trial_that_goes_on_keeps_its_run(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    paused = ran(TrialSpecification(0, DEFAULT, 0, 1), 0.5, budget=3)
    with StudyTracking(workspace, "experiment", "study", "fingerprint") as tracking:
        tracking.log_trial(paused)
        tracking.log_trial(outcome(1, None))
        tracking.log_trial(ran(TrialSpecification(0, DEFAULT, 1, 3), 0.75, budget=3).after(paused))
    client = open_client(workspace)
    runs = trials_of(client, tracking.run_id)
    assert {number: run.info.status for number, run in runs.items()} == {"0": "FINISHED", "1": "FAILED"}
    assert runs["0"].data.params["neurons"] == "32"
    history = client.get_metric_history(runs["0"].info.run_id, "validation_accuracy")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.5), (2, 0.75), (3, 0.75)]
    assert client.get_run(tracking.run_id).info.status == "FINISHED"


@pytest.mark.parametrize("address", ["postgresl://me:sec/ret@host:1/mlflow", "databrcks://me:sec#ret@host"])
def test_an_address_that_cannot_be_used_is_told_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(ServiceUnavailableError, match=r"MLFLOW_TRACKING_URI: .*://\*\*\*@host") as told:
        open_client(Workspace(tmp_path))
    assert "ret" not in str(told.value).replace("registry", "")


def test_another_driver_logs_only_what_is_missing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with StudyTracking(workspace, "experiment", "study", "fingerprint") as first:
        first.log_trial(outcome(0, 0.5))
    with StudyTracking(workspace, "experiment", "study", "fingerprint") as second:
        second.log_missing([outcome(0, 0.5), outcome(1, 0.6)])
    assert second.run_id == first.run_id
    assert set(trials_of(open_client(workspace), first.run_id)) == {"0", "1"}


def test_what_goes_wrong_while_trials_are_logged_is_raised(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    paused = ran(TrialSpecification(0, DEFAULT, 0, 1), 0.5, budget=3)
    with StudyTracking(workspace, "experiment", "study", "fingerprint") as tracking:
        tracking.log_trial(paused)
    client = open_client(workspace)
    again = StudyTracking(workspace, "experiment", "study", "fingerprint")
    client.delete_run(trials_of(client, tracking.run_id)["0"].info.run_id)

    def go_on() -> None:
        with again:
            again.log_trial(ran(TrialSpecification(0, DEFAULT, 1, 3), 0.75, budget=3).after(paused))

    with pytest.raises(MlflowException, match="deleted"):
        go_on()
    assert client.get_run(tracking.run_id).info.status == "FAILED"
