"""### Report figures to the monitoring, every ten minutes

Reads what lies in the workspace and the registry, and sends it where Airflow's own metrics go. It has a schedule **only where
Airflow sends metrics** (`AIRFLOW__METRICS__OTEL_ON=True`, and `OTEL_EXPORTER_OTLP_ENDPOINT` for where to); else it does nothing.
Unpause it once.

| figure | what to watch |
| --- | --- |
| `atoll.day.age` | above 30 hours: the night has not labelled its day |
| `atoll.day.images`, `atoll.day.speed` | a day's images by outcome; a fall in speed |
| `atoll.study.trials` | `failed` above 0 |
| `atoll.gate.decisions`, `atoll.champion.version` | a new champion |

All of them, with their units and tags, are in `docs/operations.md`.

| what you see | what to do |
| --- | --- |
| *MLFLOW_TRACKING_URI: ...* | MLflow does not answer; the figures of studies and days were sent before |
| no figures, and the task succeeds | Airflow's settings above are not those of the scheduler; or the receiver refuses: see the task's log |
"""

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, task
from airflow.sdk.configuration import conf
from atoll.dag_params import DEFAULT_ARGS
from atoll.mistakes import mistakes_fail_at_once

SENT = any(conf.getboolean("metrics", switch, fallback=False) for switch in ("otel_on", "statsd_on"))
SCHEDULE = os.environ.get("ATOLL_METRICS_SCHEDULE", "*/10 * * * *" if SENT else "none")

with DAG(
    "report_metrics",
    description="Send figures of studies, days and champions where Airflow's metrics go.",
    doc_md=__doc__,
    schedule=None if SCHEDULE == "none" else CronDataIntervalTimetable(SCHEDULE, timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["atoll", "monitoring"],
    default_args=DEFAULT_ARGS,
) as dag:

    @task(execution_timeout=timedelta(minutes=5))
    @mistakes_fail_at_once
    def report() -> int:
        """Sends every figure; gives how many."""
        from airflow.sdk.observability import stats

        from jobs.metrics.measures import measures
        from jobs.workspace import Workspace

        sent = 0
        for measure in measures(Workspace.open(), datetime.now(UTC)):
            stats.gauge(measure.name, measure.value, tags=measure.tags)
            sent += 1
        return sent

    report()
