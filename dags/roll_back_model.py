"""### Make an earlier version champion again

For the day on which the champion turns out to be a bad one. Started by hand only: choose the model, the version and say why. The
change is immediate, it is recorded with your name in the model's history, and it emits the asset event that a promotion emits.

| what you see | what it means | what to do |
| --- | --- | --- |
| *no version N; accepted: version ...* | the registry has no such version | take one of those that the message names |
| *no such model* | nothing of this name is registered | run `tune_model` first |
| *it is champion already* | nothing has changed | nothing |
| *MLFLOW_TRACKING_URI: ...* | MLflow does not answer | the task tries again by itself |

**Nothing is tested here**: the gate of `tune_model` decides by a test, this DAG by your word. The next challenger must beat the
version that you choose. A challenger that was selected *before* the change cannot pass any more; tune again.

**Days that were labelled with the bad version** keep its labels. Start a backfill of `label_images` over them with
*reprocess: completed*, and the model policy *champion now*.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task
from atoll.assets import CHAMPION, announce_champion
from atoll.dag_params import DEFAULT_ARGS, experiment_param
from atoll.mistakes import mistakes_fail_at_once

with DAG(
    "roll_back_model",
    description="Make an earlier version of a model champion again, by hand.",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["atoll", "registry"],
    default_args=DEFAULT_ARGS,
    params={
        "model": experiment_param("Model", "Models carry the name of their experiment."),
        "version": Param(
            1,
            type="integer",
            minimum=1,
            title="Version",
            description_md="The version that is to be **champion**; the page *Models* lists them.",
        ),
        "why": Param(
            "",
            type="string",
            minLength=3,
            maxLength=500,
            title="Why",
            description_md="Stands in the model's history, with your name.",
        ),
    },
) as dag:

    @task(outlets=[CHAMPION], execution_timeout=timedelta(minutes=10))
    @mistakes_fail_at_once
    def roll_back(*, params: dict[str, Any], dag_run: Any, outlet_events: Any) -> dict[str, Any]:
        """Makes the version champion; a change emits the asset event of its model."""
        from jobs.registry.rollback import rollback
        from jobs.workspace import Workspace

        who = dag_run.triggering_user_name or f"run {dag_run.run_id}"
        change = rollback(params["model"], params["version"], Workspace.open(), who, params["why"])
        if change.changed:
            announce_champion(outlet_events, change)
        return change.model_dump(mode="json")

    roll_back()
