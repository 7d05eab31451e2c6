"""### Tune a model, every night

Prepares the experiment's data set, fans its hyperparameter grid across the Spark executors, freezes and registers the best
model, and makes it **champion** if it is better than the one that reigns.

| task | what it does | where to look when it fails |
| --- | --- | --- |
| `prepare_dataset` | reads and checks the source, splits it, writes it under its fingerprint | the message names the file and what is wrong with it |
| `tune_model` | one trial at a time on each executor; progress and time left in its log | a failed trial is a line of the leaderboard with its traceback, not a failed task |
| `select_model` | best on validation; reads the test split once; registers a version in MLflow | run it again: it repeats nothing |
| `gate_model` | McNemar's paired test against today's champion, on the same test images | a challenger that is not better is no failure: log and XCom say why, with the p-value |
| `promote_model` | makes a challenger that has passed the champion, and emits the asset event of its model | *the champion is now version N*: somebody changed it meanwhile; clear `gate_model` |
| `report` | the night in a few lines | it only reads what the others have left; clear it |

**At 3 a.m.** Clear the failed task. Every task takes up where it stopped: a prepared data set is found, trials that finished are
not repeated, the test split is not read again. A task that says *another driver works on it* waits for its retries; if it stays
so, an earlier run of the same task is still alive on the cluster.

**No executor?** The message names the cores and the memory that a worker must have free; see *Cores per executor* in the
trigger form.
"""

import logging
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, task
from atoll.assets import CHAMPION, announce_champion
from atoll.dag_params import CLUSTER_CONF, DEFAULT_ARGS, SPARK_POOL, cluster_params, experiment_param
from atoll.mistakes import mistakes_fail_at_once
from atoll.notices import morning_deadline
from atoll.operators import SparkJobOperator
from atoll.tuning_params import OVERRIDES, gate_params, search_params

from jobs.experiment import experiments_folder
from jobs.results import PreparedDataset, SelectedModel, TunedStudy
from jobs.workspace import file_name

log = logging.getLogger("atoll")

SCHEDULE = os.environ.get("ATOLL_TUNE_SCHEDULE", "0 1 * * *")
DEADLINE_HOURS = float(os.environ.get("ATOLL_TUNE_DEADLINE", "6"))
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
    default_args=DEFAULT_ARGS,
    deadline=morning_deadline(DEADLINE_HOURS),
    params={
        "experiment": experiment_param("Experiment", "A file of the `experiments/` folder."),
        **search_params(),
        **gate_params(),
        **cluster_params(),
    },
    user_defined_macros={"file_name": file_name},
) as dag:
    prepare_dataset = SparkJobOperator(
        task_id="prepare_dataset",
        job="prepare_dataset",
        result=PreparedDataset,
        arguments={"experiment": EXPERIMENT, **OVERRIDES},
        execution_timeout=timedelta(hours=2),
    )
    tune_model = SparkJobOperator(
        task_id="tune_model",
        job="tune_model",
        result=TunedStudy,
        arguments={
            "experiment": EXPERIMENT,
            "dataset": "{{ ti.xcom_pull('prepare_dataset')['folder'] }}",
            "study": STUDY,
            **OVERRIDES,
        },
        conf=CLUSTER_CONF,
        pool=SPARK_POOL,
        execution_timeout=timedelta(hours=12),
    )
    select_model = SparkJobOperator(
        task_id="select_model",
        job="select_model",
        result=SelectedModel,
        arguments={"study": STUDY},
        execution_timeout=timedelta(hours=2),
    )

    @task(execution_timeout=timedelta(hours=1))
    @mistakes_fail_at_once
    def gate_model(selected: dict[str, Any], *, params: dict[str, Any]) -> dict[str, Any]:
        """Tests the challenger against today's champion; "not better" is a result, not a failure."""
        from jobs.registry.gate import GateRule, gate
        from jobs.workspace import Workspace

        rule = GateRule(margin=params["margin"] / 100, significance=params["significance"])
        return gate(selected["model_name"], selected["model_version"], Workspace.open(), rule).model_dump(mode="json")

    @task(outlets=[CHAMPION], execution_timeout=timedelta(minutes=10))
    @mistakes_fail_at_once
    def promote_model(
        decision: dict[str, Any], selected: dict[str, Any], *, params: dict[str, Any], dag_run: Any, outlet_events: Any
    ) -> dict[str, Any]:
        """Makes a challenger that has passed the champion; a promotion emits the asset event of its model."""
        from jobs.registry.promotion import promote
        from jobs.results import GateDecision
        from jobs.workspace import Workspace

        who = f"{dag_run.dag_id} {dag_run.run_id}"
        promotion = promote(GateDecision.model_validate(decision), Workspace.open(), who, switched_on=params["promote"])
        if promotion.promoted:
            announce_champion(outlet_events, promotion, {"test_accuracy": selected["winner"]["accuracy"]})
        return promotion.model_dump(mode="json")

    @task(execution_timeout=timedelta(minutes=10))
    def report(tuned: dict[str, Any], selected: dict[str, Any], promotion: dict[str, Any]) -> str:
        """Says in a few lines what the night has brought; gives the first."""
        from jobs.results import Promotion, SelectedModel, TunedStudy
        from jobs.tuning.night import night_lines

        lines = night_lines(
            TunedStudy.model_validate(tuned),
            SelectedModel.model_validate(selected),
            Promotion.model_validate(promotion),
        )
        for line in lines:
            log.info("%s", line)
        return lines[0]

    prepare_dataset >> tune_model >> select_model
    promotion = promote_model(gate_model(select_model.output), select_model.output)
    report(tune_model.output, select_model.output, promotion)
