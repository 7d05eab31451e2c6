"""A study in MLflow: one parent run, and under it one run for each trial."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.registry.mlflow_client import experiment_id, open_client
from jobs.tuning.trial import TrialOutcome
from jobs.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

STUDY_TAG, TRIAL_TAG, DATASET_TAG = "atoll.study", "atoll.trial", "atoll.dataset"
_KIND_TAG = "atoll.kind"
_PARENT_TAG = "mlflow.parentRunId"
_MOST_RUNS = 10_000


def study_run(client: "MlflowClient", experiment: str, study: str, dataset_fingerprint: str) -> str:
    """Gives the identifier of a study's parent run, making it when it is new."""
    from mlflow.entities import Run

    tags = {STUDY_TAG: study, DATASET_TAG: dataset_fingerprint, _KIND_TAG: "study"}
    found = client.search_runs(
        [experiment], f"tags.`{STUDY_TAG}` = '{study}' and tags.`{_KIND_TAG}` = 'study'", max_results=1
    )
    run: Run = found[0] if found else client.create_run(experiment, tags=tags, run_name=study)
    return str(run.info.run_id)


class StudyTracking:
    """Writes a study and its trials to MLflow; each trial once, however often a driver takes the study up.

    Use it as a context manager: the parent run is closed at its end, as failed when an error ended the block.
    """

    def __init__(self, workspace: Workspace, experiment: str, study: str, dataset_fingerprint: str) -> None:
        self._client = open_client(workspace)
        self._experiment = experiment_id(self._client, workspace, experiment)
        self._study = study
        self.run_id = study_run(self._client, self._experiment, study, dataset_fingerprint)
        found = self._client.search_runs(
            [self._experiment], f"tags.`{_PARENT_TAG}` = '{self.run_id}'", max_results=_MOST_RUNS
        )
        self._logged = {run.data.tags[TRIAL_TAG] for run in found}

    def __enter__(self) -> "StudyTracking":
        self._client.update_run(self.run_id, status="RUNNING")
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._client.set_terminated(self.run_id, "FAILED" if kind else "FINISHED")

    def log_missing(self, outcomes: Iterable[TrialOutcome]) -> None:
        """Logs those trials that a driver finished without living to log them."""
        for outcome in outcomes:
            if str(outcome.number) not in self._logged:
                self.log_trial(outcome)

    def log_trial(self, outcome: TrialOutcome) -> None:
        """Logs one trial: its hyperparameters, its learning curve, where it ran and why it failed if it did."""
        from mlflow.entities import Metric, Param, RunTag

        begun = round(outcome.started_at * 1000)
        tags = {
            STUDY_TAG: self._study,
            TRIAL_TAG: str(outcome.number),
            _PARENT_TAG: self.run_id,
            "atoll.executor": outcome.executor,
            "atoll.reason": outcome.reason or "",
        }
        run = self._client.create_run(
            self._experiment, start_time=begun, run_name=f"{self._study}/trial-{outcome.number:04}",
            tags={name: value for name, value in tags.items() if value},
        ).info.run_id  # fmt: skip
        metrics = [
            Metric(name, getattr(score, name), begun + round(score.seconds * 1000), score.epoch)
            for score in outcome.curve
            for name in ("training_loss", "validation_loss", "validation_accuracy")
        ]
        params = [Param(name, str(value)) for name, value in outcome.hyperparameters.model_dump().items()]
        extra = [RunTag("atoll.traceback", outcome.traceback[-4000:])] if outcome.traceback else []
        self._client.log_batch(run, metrics[:1000], params, extra)
        for start in range(1000, len(metrics), 1000):  # the most that a batch may hold
            self._client.log_batch(run, metrics[start : start + 1000])
        status = "FINISHED" if outcome.state == "complete" else "FAILED"
        self._client.set_terminated(run, status, round(outcome.finished_at * 1000))
        self._logged.add(str(outcome.number))

    def log_leaderboard(self, study_folder: Path) -> None:
        """Attaches the leaderboard to the parent run."""
        self._client.log_artifact(self.run_id, str(study_folder / "leaderboard.json"))
