"""What Airflow itself costs in a run of each DAG: its time from end to end less the time that its tasks work.

    python -m benchmarks.chain

Runs the demonstration on a stack of its own, as `make demo` does, and reads from Airflow when each run was asked for and ended,
and from the tasks' logs from when to when their own code ran: between the log's groups *Pre Execute* and *Post Execute*, which
for a Spark task is spark-submit from its start to its end. What is left is Airflow's: looking for what can run, starting the
task's process, importing the DAG, handing results on.
"""

import json
import os
import tempfile
from datetime import datetime
from pathlib import Path

from local.demo import LABEL, TUNE, run_demo
from local.environment import USER
from local.settings import Settings
from local.stack import Stack
from tests.airflow_rest import AirflowRest


def main() -> None:
    """Prints a row of JSON for each task, in the order in which they began, and one for each run."""
    os.environ |= {"ATOLL_TUNE_SCHEDULE": "none", "ATOLL_LABEL_SCHEDULE": "none"}  # no other run comes first
    with tempfile.TemporaryDirectory() as scratch:
        stack = Stack(Settings.from_environment(dict(os.environ) | {"ATOLL_HOME": scratch}))
        try:
            state, _ = stack.up(mlflow=False)
            run_demo(stack.settings)
            airflow = AirflowRest()
            airflow.connect(state.airflow_url, USER, stack.secrets.admin_password)
            for dag in (TUNE, LABEL):
                report(airflow, dag, stack.settings.airflow_home / "logs")
        finally:
            stack.down()


def report(airflow: AirflowRest, dag: str, logs: Path) -> None:
    """Prints what the only run of a DAG by hand took."""
    (run,) = [run for run in airflow.runs(dag, "manual") if run.started]
    asked = airflow.ask("GET", f"/dags/{dag}/dagRuns/{run.id}")
    began, ended = (datetime.fromisoformat(asked[name]) for name in ("queued_at", "end_date"))
    spans = {log.parent.name.removeprefix("task_id="): at_work(log) for log in logs.glob(f"*/run_id={run.id}/*/*.log")}
    last = began
    for task, (first, end) in sorted(spans.items(), key=lambda item: item[1]):
        row = {
            "dag": dag,
            "task": task,
            "waited_s": (first - last).total_seconds(),
            "worked_s": (end - first).total_seconds(),
        }
        print(json.dumps({name: round(value, 2) if isinstance(value, float) else value for name, value in row.items()}))
        last = end
    whole = (ended - began).total_seconds()
    work = sum((end - first).total_seconds() for first, end in spans.values())
    print(
        json.dumps(
            {"dag": dag, "whole_s": round(whole, 2), "tasks_s": round(work, 2), "airflow_s": round(whole - work, 2)}
        )
    )


def at_work(log: Path) -> tuple[datetime, datetime]:
    """Finds from when to when a task's own code ran."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    (before,) = [number for number, line in enumerate(lines) if line["event"] == "::group::Pre Execute"]
    first = next(line for line in lines[before:] if line["event"] == "::endgroup::")
    (last,) = [line for line in lines if line["event"] == "::group::Post Execute"]
    return datetime.fromisoformat(first["timestamp"]), datetime.fromisoformat(last["timestamp"])


if __name__ == "__main__":
    main()
