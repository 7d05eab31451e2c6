"""### Remove what nobody needs any more

Goes through the workspace once a week and lists what is older than the days below and that nothing needs. It **removes nothing
until it is told to**: set `ATOLL_HOUSEKEEPING=delete` for the scheduled runs, or switch *Dry run* off in the form.

| what | goes when | never when |
| --- | --- | --- |
| checkpoints of trials | the study has not changed for as long | |
| studies | no version was registered from it | a registered version comes from it |
| data sets | no version and no study needs it | a version was trained or tested on it, or a study stays that uses it |
| results of runs, staged days | unchanged for as long | |

Labels, quarantine, image sets and everything in MLflow are never touched: a published day keeps its version, and a version its graph,
its study and its data set.

| what you see | what to do |
| --- | --- |
| *MLFLOW_TRACKING_URI: ...* | MLflow does not answer, so nothing was removed; the task tries again by itself |
| *left ...: somebody works on it* | nothing; the next run looks again |
| too much in the list | raise the days, and look again; nothing is gone before *removed ...* stands in the log |
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, task
from atoll.dag_params import DEFAULT_ARGS
from atoll.mistakes import mistakes_fail_at_once

SCHEDULE = os.environ.get("ATOLL_HOUSEKEEPING_SCHEDULE", "0 12 * * 0")
DRY_RUN = os.environ.get("ATOLL_HOUSEKEEPING") != "delete"


def days(default: int, title: str, description: str) -> Param:
    """A field for a number of days."""
    return Param(default, type="integer", minimum=1, maximum=3650, title=title, description_md=description)


with DAG(
    "housekeeping",
    description="List, or remove, checkpoints, studies, data sets and results that nothing needs.",
    doc_md=__doc__,
    schedule=None if SCHEDULE == "none" else CronDataIntervalTimetable(SCHEDULE, timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["atoll", "housekeeping"],
    default_args=DEFAULT_ARGS,
    params={
        "dry_run": Param(
            DRY_RUN, type="boolean", title="Dry run", description_md="List what would be removed, and remove nothing."
        ),
        "checkpoint_days": days(
            14, "Checkpoints (days)", "Weights of trials; selected models keep their frozen graph."
        ),
        "study_days": days(90, "Studies (days)", "Those from which no version was registered."),
        "dataset_days": days(90, "Data sets (days)", "Those that no version and no study needs."),
        "run_days": days(30, "Runs (days)", "Results of tasks, and days that were staged but never published."),
    },
) as dag:

    @task(execution_timeout=timedelta(hours=2))
    @mistakes_fail_at_once
    def clean_up(*, params: dict[str, Any]) -> dict[str, Any]:
        """Removes what may go, or lists it."""
        from jobs.retention.clean_up import clean_up as clean
        from jobs.retention.rules import RetentionRule
        from jobs.workspace import Workspace

        rule = RetentionRule(
            checkpoints=params["checkpoint_days"],
            studies=params["study_days"],
            datasets=params["dataset_days"],
            runs=params["run_days"],
        )
        return clean(Workspace.open(), rule, datetime.now(UTC), dry_run=params["dry_run"]).model_dump(mode="json")

    clean_up()
