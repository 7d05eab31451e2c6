"""### Label the images of a day, every night

Broadcasts a model's frozen graph to the Spark executors and labels the image set of one data interval: the folder
`image_sets/<image set>/ds=YYYY-MM-DD` of the workspace. Labels and quarantine appear in `labels/` and `quarantine/` under the
same day, all or nothing.

| task | what it does | when it fails |
| --- | --- | --- |
| `resolve_model` | settles the day and the version that labels it | *it has no champion*: run `tune_model`, or pin a version; *it had no champion at ...*: that day is older than the model |
| `wait_for_images` | waits for the folder, and until nobody copies into it any more (a file `_SUCCESS` says so at once); needs no worker meanwhile | *no images by ...*: when they have arrived, clear the task |
| `label_images` | labels on Spark, and stages the rows out of readers' sight | the message says what to mend; *another driver is labelling* waits for its retries |
| `check_labels` | compares with the days before: share of quarantine, distribution of labels, mean score | look at the measures in its log. The day is right all the same: **mark the task as success**, and it is published. Else mend the images and clear `label_images` |
| `publish_labels` | swaps the day in, whole | *what was staged is gone*: the day was labelled again since; clear `label_images` |
| `report` | the day in a few lines | clear it |

**At 3 a.m.** Clear the failed task. Nothing is published by halves: until `publish_labels` ends, readers see the old day, or none.

**Days again** is safe: a day is replaced as a whole, and each run touches its own day only. For past days start a backfill; the
field *Version* chooses the champion now, the champion that each day had, or a pinned version (`{"model_version": 7}`). One failed
day of a backfill is repaired by clearing its failed task.

**By hand**: give the day, or leave it empty for today. **By an asset**: with `ATOLL_LABEL_SCHEDULE=asset` a run begins with each event
of the asset `atoll://image_sets/announced`, whose extra may name `image_set` and `day`.
"""

import logging
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, task
from atoll.assets import IMAGE_SETS, LABELS, announce_labels, announced_image_set
from atoll.dag_params import CLUSTER_CONF, DEFAULT_ARGS, SPARK_POOL, cluster_params
from atoll.image_sets import ImageSetSensor
from atoll.labelling_params import check_params, image_set_params, label_params, model_params
from atoll.mistakes import mistakes_fail_at_once
from atoll.notices import morning_deadline
from atoll.operators import SparkJobOperator

from jobs.results import LabelledImageSet

log = logging.getLogger("atoll")

SCHEDULE = os.environ.get("ATOLL_LABEL_SCHEDULE", "0 4 * * *")
DEADLINE_HOURS = float(os.environ.get("ATOLL_LABEL_DEADLINE", "3"))
PLAN = "ti.xcom_pull('resolve_model')"


def schedule() -> Any:
    """By cron, one data interval per run; by the arrival of images; or by hand alone."""
    if SCHEDULE == "asset":
        return [IMAGE_SETS]
    return None if SCHEDULE == "none" else CronDataIntervalTimetable(SCHEDULE, timezone="UTC")


with DAG(
    "label_images",
    description="Label the image set of one day with a model's frozen graph.",
    doc_md=__doc__,
    schedule=schedule(),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["atoll", "labelling"],
    default_args=DEFAULT_ARGS,
    deadline=morning_deadline(DEADLINE_HOURS),
    params={**image_set_params(), **model_params(), **label_params(), **check_params(), **cluster_params()},
) as dag:

    @task(execution_timeout=timedelta(minutes=10))
    @mistakes_fail_at_once
    def resolve_model(*, params: dict[str, Any], dag_run: Any, triggering_asset_events: Any = None) -> dict[str, Any]:
        """Settles what this run is about: its day, its images, and the version that labels them."""
        from jobs.labelling.plan import RunOfADay, choose_day, choose_model, plan_labelling, published_name
        from jobs.workspace import Workspace

        workspace, announced = Workspace.open(), announced_image_set(triggering_asset_events)
        run = RunOfADay(
            str(dag_run.run_type), dag_run.data_interval_start, dag_run.data_interval_end, dag_run.run_after
        )
        day = choose_day(params["day"] or announced.get("day"), run)
        version, chosen = choose_model(
            params["model"], params["model_policy"], params["model_version"], day, run, workspace
        )
        image_set = announced.get("image_set", params["image_set"])
        published_as = published_name(image_set, params["variant"], params["sample"], workspace)
        wait_until = run.due + timedelta(minutes=params["wait_minutes"])
        plan = plan_labelling(image_set, day, version, chosen, wait_until, published_as, workspace)
        log.info("%s of %s, by %s version %d: %s", plan.image_set, day, version.name, version.version, chosen)
        return plan.model_dump(mode="json")

    wait_for_images = ImageSetSensor(
        task_id="wait_for_images",
        folder=f"{{{{ {PLAN}['images'] }}}}",
        deadline=f"{{{{ {PLAN}['wait_until'] }}}}",
        if_missing="{{ params.if_missing }}",
        execution_timeout=timedelta(minutes=10),
    )
    label_images = SparkJobOperator(
        task_id="label_images",
        job="label_images",
        result=LabelledImageSet,
        arguments={
            "model": f"{{{{ {PLAN}['model_name'] }}}}",
            "model-version": f"{{{{ {PLAN}['model_version'] }}}}",
            "image-set": f"{{{{ {PLAN}['image_set'] }}}}",
            "date": f"{{{{ {PLAN}['day'] }}}}",
            "publish": "later",
            "publish-as": f"{{{{ {PLAN}['published_as'] }}}}",
            "sample": "{{ params.sample }}",
            "top-k": "{{ params.top_k }}",
            "min-score": "{{ params.min_score }}",
        },
        conf=CLUSTER_CONF,
        pool=SPARK_POOL,
        execution_timeout=timedelta(hours=4),
    )

    @task(execution_timeout=timedelta(minutes=30))
    @mistakes_fail_at_once
    def check_labels(plan: dict[str, Any], labelled: dict[str, Any], *, params: dict[str, Any]) -> dict[str, Any]:
        """Compares the staged day with the published days before it."""
        from jobs.labelling.day_check import check_day
        from jobs.labelling.quality import QualityRule
        from jobs.results import LabellingPlan
        from jobs.workspace import Workspace

        rule = QualityRule(params["quarantine_rise"] / 100, params["label_drift"], params["confidence_drop"] / 100)
        day, rows = LabellingPlan.model_validate(plan), LabelledImageSet.model_validate(labelled)
        check = check_day(day, rows, Workspace.open(), rule, params["compare_days"], params["on_drift"])
        return check.model_dump(mode="json")

    # One at a time: where two runs of a backfill are the first to name the asset of an image set, Airflow adds it twice, and
    # takes one of the two tasks for failed.
    @task(outlets=[LABELS], execution_timeout=timedelta(minutes=30), max_active_tis_per_dag=1)
    @mistakes_fail_at_once
    def publish_labels(plan: dict[str, Any], labelled: dict[str, Any], *, outlet_events: Any) -> None:
        """Swaps the staged day in; emits the asset event of its image set's labels."""
        from jobs.labelling.publication import publish_day
        from jobs.results import LabellingPlan
        from jobs.workspace import Workspace

        day, rows = LabellingPlan.model_validate(plan), LabelledImageSet.model_validate(labelled)
        publish_day(day, rows, Workspace.open())
        announce_labels(outlet_events, day.published_as, {"day": plan["day"], **labelled})

    @task(execution_timeout=timedelta(minutes=10))
    @mistakes_fail_at_once
    def report(plan: dict[str, Any], labelled: dict[str, Any], check: dict[str, Any] | None) -> str:
        """Says in a few lines what has become of the day; gives the first."""
        from jobs.labelling.day_report import day_lines
        from jobs.results import LabellingPlan, QualityCheck

        lines = day_lines(
            LabellingPlan.model_validate(plan),
            LabelledImageSet.model_validate(labelled),
            QualityCheck.model_validate(check) if check else None,
        )
        for line in lines:
            log.info("%s", line)
        return lines[0]

    plan = resolve_model()
    check = check_labels(plan, label_images.output)
    published = publish_labels(plan, label_images.output)
    plan >> wait_for_images >> label_images >> check >> published >> report(plan, label_images.output, check)
