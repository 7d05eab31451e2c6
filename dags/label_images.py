"""### Label the images of a day, every night

Broadcasts the champion's frozen graph to the Spark executors and labels the image set of one data interval: the folder
`image_sets/<image set>/ds=YYYY-MM-DD` of the workspace. Labels and quarantine appear in `labels/` and `quarantine/` under the
same day, all or nothing.

| what you see | what it means | what to do |
| --- | --- | --- |
| *no such image set* | the day's folder is not there | when it has arrived, clear the task |
| *no champion* | no version of the model has been promoted | run `tune_model`, or give a model version |
| many images in quarantine | each has its reason in `quarantine/` | nothing is lost: mend the source, put the files back, clear the task |
| *another driver works on it* | an earlier run of this day is still alive | wait; the task tries again by itself |

**Doing days again** is safe: a day is replaced as a whole. To label past days with a certain version, start a backfill with
`{"model_version": 7}`. A run that is triggered by hand labels the day on which it is triggered.
"""

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, Param
from atoll.dag_params import CLUSTER_CONF, cluster_params, experiment_param
from atoll.operators import SparkJobOperator

SCHEDULE = os.environ.get("ATOLL_LABEL_SCHEDULE", "0 4 * * *")

with DAG(
    "label_images",
    description="Label the image set of one day with the champion's frozen graph.",
    doc_md=__doc__,
    schedule=None if SCHEDULE == "none" else CronDataIntervalTimetable(SCHEDULE, timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["atoll", "labelling"],
    default_args={"owner": "atoll", "retries": 2, "retry_delay": timedelta(minutes=1)},
    params={
        "image_set": Param(
            "digits",
            type="string",
            minLength=1,
            title="Image set",
            description_md="Name of the folder under `image_sets/`.",
        ),
        "model": experiment_param("Model", "Models carry the name of their experiment."),
        "model_version": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Model version",
            description_md="Empty: the **champion** at the moment the task runs.",
        ),
        "top_k": Param(
            5,
            type="integer",
            minimum=1,
            maximum=100,
            title="Labels per image",
            description_md="How many of the best labels to keep with their scores.",
        ),
        **cluster_params(),
    },
) as dag:
    SparkJobOperator(
        task_id="label_images",
        job="label_images",
        arguments={
            "model": "{{ params.model }}",
            "model-version": "{{ params.model_version }}",
            "image-set": "{{ params.image_set }}",
            "date": "{{ (dag_run.data_interval_start or dag_run.run_after) | ds }}",
            "top-k": "{{ params.top_k }}",
        },
        conf=CLUSTER_CONF,
        execution_timeout=timedelta(hours=4),
    )
