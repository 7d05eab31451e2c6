"""### Tune a model, every night

Prepares the experiment's data set, fans its hyperparameter grid across the Spark executors, freezes and registers the best
model, and makes it **champion** if it is better than the one that reigns.

| task | what it does | where to look when it fails |
| --- | --- | --- |
| `prepare_dataset` | reads and checks the source, splits it, writes it under its fingerprint | the message names the file and what is wrong with it |
| `tune_model` | one trial at a time on each executor; progress and time left in its log | a failed trial is a line of the leaderboard with its traceback, not a failed task |
| `select_model` | best on validation; reads the test split once; registers a version in MLflow | run it again: it repeats nothing |
| `promote_model` | McNemar's test against the champion on the same test images | a challenger that is not better is no failure: its log says why the champion stays |

**At 3 a.m.** Clear the failed task. Every task takes up where it stopped: a prepared data set is found, trials that finished are
not repeated, the test split is not read again. A task that says *another driver works on it* waits for its retries; if it stays
so, an earlier run of the same task is still alive on the cluster.

**No executor?** The message names the cores and the memory that a worker must have free; see *Cores per executor* in the
trigger form.
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, task
from atoll.assets import CHAMPION, announce_champion
from atoll.dag_params import CLUSTER_CONF, cluster_params, experiment_param
from atoll.operators import SparkJobOperator

from jobs.experiment import experiments_folder
from jobs.workspace import file_name

SCHEDULE = os.environ.get("ATOLL_TUNE_SCHEDULE", "0 1 * * *")
EXPERIMENT = f"{experiments_folder()}/{{{{ params.experiment }}}}.yaml"
STUDY = "{{ params.experiment }}-{{ file_name(run_id) }}"

with DAG(
    "tune_model",
    description="Prepare, tune on Spark, select, promote.",
    doc_md=__doc__,
    schedule=None if SCHEDULE == "none" else CronDataIntervalTimetable(SCHEDULE, timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["atoll", "tuning"],
    default_args={"owner": "atoll", "retries": 2, "retry_delay": timedelta(minutes=1)},
    params={
        "experiment": experiment_param("Experiment", "A file of the `experiments/` folder."),
        **cluster_params(),
    },
    user_defined_macros={"file_name": file_name},
) as dag:
    prepare_dataset = SparkJobOperator(
        task_id="prepare_dataset",
        job="prepare_dataset",
        arguments={"experiment": EXPERIMENT},
        execution_timeout=timedelta(hours=2),
    )
    tune_model = SparkJobOperator(
        task_id="tune_model",
        job="tune_model",
        arguments={
            "experiment": EXPERIMENT,
            "dataset": "{{ ti.xcom_pull('prepare_dataset')['folder'] }}",
            "study": STUDY,
        },
        conf=CLUSTER_CONF,
        execution_timeout=timedelta(hours=12),
    )
    select_model = SparkJobOperator(
        task_id="select_model",
        job="select_model",
        arguments={"study": STUDY},
        execution_timeout=timedelta(hours=2),
    )

    @task(outlets=[CHAMPION], execution_timeout=timedelta(minutes=10))
    def promote_model(selected: dict[str, Any], *, dag_run: Any, outlet_events: Any) -> dict[str, Any]:
        """Lets the challenger through the gate; a promotion emits the asset event of its model."""
        from jobs.registry.promotion import promote
        from jobs.workspace import Workspace

        who = f"{dag_run.dag_id} {dag_run.run_id}"
        promotion = promote(selected["model_name"], selected["model_version"], Workspace.open(), who)
        if promotion.promoted:
            announce_champion(outlet_events, promotion)
        return promotion.model_dump(mode="json")

    prepare_dataset >> tune_model >> select_model
    promote_model(select_model.output)
