"""A study in MLflow: one parent run, and under it one run for each trial."""

import logging
import math
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.registry.mlflow_client import experiment_id, open_client
from jobs.tuning.trial import TrialOutcome
from jobs.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

log = logging.getLogger("atoll")

STUDY_TAG, TRIAL_TAG, DATASET_TAG = "atoll.study", "atoll.trial", "atoll.dataset"
_KIND_TAG = "atoll.kind"
_EPOCHS_TAG = "atoll.epochs"
_PARENT_TAG = "mlflow.parentRunId"
_MOST_RUNS = 10_000
_MOST_WAITING = 100
"""Trials that may wait to be logged; with more, their study waits for MLflow."""

_MOST_METRICS = 900
"""In one batch; MLflow takes 1,000 entries, parameters and tags among them."""


def study_run(client: "MlflowClient", experiment: str, study: str, dataset_fingerprint: str) -> str:
    """Gives the identifier of a study's parent run, making it when it is new."""
    tags = {STUDY_TAG: study, DATASET_TAG: dataset_fingerprint, _KIND_TAG: "study"}
    found = client.search_runs(
        [experiment], f"tags.`{STUDY_TAG}` = '{study}' and tags.`{_KIND_TAG}` = 'study'", max_results=1
    )
    run = found[0] if found else client.create_run(experiment, tags=tags, run_name=study)
    return str(run.info.run_id)


def log_report(client: "MlflowClient", run: str, study_folder: Path) -> None:
    """Attaches the report of a study to its parent run, in the place of an earlier one."""
    client.log_artifacts(run, str(study_folder / "report"), artifact_path="report")


@dataclass(frozen=True)
class _LoggedTrial:
    run: str
    epochs: float


def _epochs(run: "Run") -> float:
    return float(run.data.tags.get(_EPOCHS_TAG, 0))


class StudyTracking:
    """Writes a study and its trials to MLflow; each trial once, however often a driver takes the study up.

    Trials are written by a thread of their own, in order: no executor waits for MLflow. What goes wrong there is raised by the
    call that comes next, or at the end. Use it as a context manager: the parent run is closed at its end, as failed when
    an error ended the block.
    """

    def __init__(self, workspace: Workspace, experiment: str, study: str, dataset_fingerprint: str) -> None:
        self._client = open_client(workspace)
        self._experiment = experiment_id(self._client, workspace, experiment)
        self._study = study
        self.run_id = study_run(self._client, self._experiment, study, dataset_fingerprint)
        found = self._client.search_runs(
            [self._experiment], f"tags.`{_PARENT_TAG}` = '{self.run_id}'", max_results=_MOST_RUNS
        )
        # Airflow makes the task's links of this line; see plugins/atoll/spark_log.py.
        log.info("MLflow experiment %s, run %s", self._experiment, self.run_id)
        self._logged = {int(run.data.tags[TRIAL_TAG]): _LoggedTrial(run.info.run_id, _epochs(run)) for run in found}
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="tracking")
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> "StudyTracking":
        self._client.update_run(self.run_id, status="RUNNING")
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._writer.shutdown(wait=True)
        self._client.set_terminated(self.run_id, "FAILED" if kind or self._failed() else "FINISHED")
        if kind is None:
            self._await(0)

    def log_missing(self, outcomes: Iterable[TrialOutcome]) -> None:
        """Logs what a driver has learned of trials without living to log it."""
        for outcome in outcomes:
            logged = self._logged.get(outcome.number)
            if logged is None or logged.epochs < outcome.epochs:
                self.log_trial(outcome)

    def log_trial(self, outcome: TrialOutcome) -> None:
        """Has one trial logged: its hyperparameters, its learning curve, where it ran and why it failed if it did.

        A trial that goes on after a pause keeps its run, to which the new part of its curve is added.
        """
        self._await(_MOST_WAITING)
        self._waiting.append(self._writer.submit(self._log, outcome))

    def log_leaderboard(self, study_folder: Path) -> None:
        """Attaches the leaderboard and the report to the parent run, after all trials."""
        self._await(0)
        self._client.log_artifact(self.run_id, str(study_folder / "leaderboard.json"))
        log_report(self._client, self.run_id, study_folder)

    def _await(self, waiting: int) -> None:
        """Waits until no more than so many trials are left to be logged; raises what went wrong with those that were."""
        while self._waiting and (len(self._waiting) > waiting or self._waiting[0].done()):
            self._waiting.popleft().result()

    def _failed(self) -> bool:
        return any(written.exception() for written in self._waiting)

    def _log(self, outcome: TrialOutcome) -> None:
        from mlflow.entities import Metric, Param, RunTag

        logged = self._logged.get(outcome.number) or self._begin(outcome)
        params = [Param(name, str(value)) for name, value in outcome.hyperparameters.model_dump().items()]
        begun = round(outcome.started_at * 1000)
        metrics = [
            # MLflow counts whole steps: a rung within an epoch stands at the epoch that it is a part of.
            Metric(name, value, begun + round(score.seconds * 1000), math.ceil(score.epoch))
            for score in outcome.curve
            if score.epoch > logged.epochs
            for name in ("training_loss", "validation_loss", "validation_accuracy")
            if (value := getattr(score, name)) is not None
        ]
        tags = [RunTag("atoll.executor", outcome.executor), RunTag(_EPOCHS_TAG, str(outcome.epochs))]
        if outcome.reason:
            tags.append(RunTag("atoll.reason", outcome.reason[:4000]))
        if outcome.traceback:
            tags.append(RunTag("atoll.traceback", outcome.traceback[-4000:]))
        while len(metrics) > _MOST_METRICS:
            self._client.log_batch(logged.run, metrics[:_MOST_METRICS])
            metrics = metrics[_MOST_METRICS:]
        # The tags come last: with them the trial counts as logged.
        self._client.log_batch(logged.run, metrics, [] if logged.epochs else params, tags)
        status = {"complete": "FINISHED", "failed": "FAILED", "paused": "KILLED"}[outcome.state]
        self._client.set_terminated(logged.run, status, round(outcome.finished_at * 1000))
        self._logged[outcome.number] = _LoggedTrial(logged.run, outcome.epochs)

    def _begin(self, outcome: TrialOutcome) -> _LoggedTrial:
        """Makes the run of a trial."""
        run = self._client.create_run(
            self._experiment,
            start_time=round(outcome.started_at * 1000),
            run_name=f"{self._study}/trial-{outcome.number:04}",
            tags={STUDY_TAG: self._study, TRIAL_TAG: str(outcome.number), _PARENT_TAG: self.run_id},
        )
        return _LoggedTrial(str(run.info.run_id), 0)
