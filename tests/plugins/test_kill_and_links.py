"""What people see of a job while it runs, and what is left of it when it is killed."""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from airflow.sdk.exceptions import AirflowException
from atoll.links import mlflow_link, report_link, spark_link
from atoll.operators import SparkJobOperator
from atoll.spark_log import readable

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)

SPARK_SUBMIT = """#!{python}
import pathlib, signal, subprocess, sys, time

def clean(*_):
    pathlib.Path(__file__ + ".cleaned").touch()
    sys.exit(143)

signal.signal(signal.SIGTERM, clean)
driver = subprocess.Popen([sys.executable, "-c", {stubborn!r}], stdout=subprocess.PIPE, start_new_session=True)
driver.stdout.readline()
print("26/11/21 08:00:00 INFO SparkContext: Running Spark version 4.3.0")
print("Spark application app-1, its UI at http://driver:4040")
print("MLflow experiment 3, run abc")
print("26/11/21 08:00:01 WARN TaskSetManager: Lost task 0.0")
print("progress: 1/2 trials", flush=True)
time.sleep(600)
"""


class TaskInstance:
    """Keeps what is pushed while the task runs."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def wait_until(seen: Any, what: str) -> None:
    deadline = time.monotonic() + 30
    while not seen():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SparkJobOperator:
    binary = tmp_path / "spark-submit"
    binary.write_text(SPARK_SUBMIT.format(python=sys.executable, stubborn=STUBBORN))
    binary.chmod(0o755)
    monkeypatch.setattr("atoll.operators._spark_submit", lambda: str(binary))
    monkeypatch.setattr("atoll.process_tree.PATIENCE", 0.1)
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ATOLL_MLFLOW_URL", "http://mlflow:5000/")
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[2]"}')
    return SparkJobOperator(task_id="tune", job="tune_model", arguments={})


@pytest.fixture
def running(operator: SparkJobOperator) -> Iterator[tuple[SparkJobOperator, TaskInstance, list[BaseException]]]:
    """The operator at work in a thread, up to the job's line of progress."""
    instance, ended = TaskInstance(), []
    context = {"dag": SimpleNamespace(dag_id="night"), "run_id": "manual__1", "task": operator, "ti": instance}

    def work() -> None:
        try:
            operator.execute(context)
        except AirflowException as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: "_link_ReportLink" in instance.pushed, "no link was pushed")
    yield operator, instance, ended
    operator.on_kill()
    thread.join(30)


def test_a_killed_task_leaves_no_process_behind_even_one_that_ignores_it(
    running: tuple[SparkJobOperator, TaskInstance, list[BaseException]],
) -> None:
    operator, _, ended = running
    tree = psutil.Process(operator._hook._submit_sp.pid)
    driver = tree.children(recursive=True)
    assert driver
    operator.on_kill()
    wait_until(lambda: not any(process.is_running() for process in driver), "the driver is still at work")
    wait_until(lambda: bool(ended), "the task has not ended")


def test_spark_may_remove_its_files_before_it_is_killed(
    running: tuple[SparkJobOperator, TaskInstance, list[BaseException]], tmp_path: Path
) -> None:
    operator, _, ended = running
    operator.on_kill()
    assert (tmp_path / "spark-submit.cleaned").exists()
    wait_until(lambda: bool(ended), "the task has not ended")


def test_the_links_of_a_task_are_there_while_it_runs(
    running: tuple[SparkJobOperator, TaskInstance, list[BaseException]],
) -> None:
    operator, instance, _ = running
    assert instance.pushed == {
        "_link_SparkLink": "http://driver:4040",
        "_link_MlflowLink": "http://mlflow:5000/#/experiments/3/runs/abc",
        "_link_ReportLink": "http://mlflow:5000/#/experiments/3/runs/abc/artifacts/report/report.html",
    }
    assert {link.name: link.get_link(operator, ti_key=None) for link in operator.operator_extra_links} == {
        "Spark": "http://driver:4040",
        "MLflow run": "http://mlflow:5000/#/experiments/3/runs/abc",
        "Report": "http://mlflow:5000/#/experiments/3/runs/abc/artifacts/report/report.html",
    }


def test_a_task_that_was_never_submitted_can_be_killed(operator: SparkJobOperator) -> None:
    operator.on_kill()
    assert all(link.get_link(operator, ti_key=None) == "" for link in operator.operator_extra_links)


def test_the_log_keeps_progress_and_warnings_and_drops_sparks_chatter() -> None:
    lines = [
        "Using Spark's default log4j profile: org/apache/spark/log4j2-defaults.properties",
        "26/11/21 08:00:00 INFO SparkContext: Running Spark version 4.3.0",
        "26/11/21 08:00:00 WARN NativeCodeLoader: Unable to load native-hadoop library for your platform...",
        "2026/11/21 08:00:00 INFO mlflow.store.db.utils: Updating database tables",
        "progress: 1/2 trials, 1 running",
        "26/11/21 08:00:01 WARN TaskSetManager: Lost task 0.0 in stage 0.0",
        "26/11/21 08:00:01 ERROR TaskSchedulerImpl: Lost executor 1",
        "  File \"x.py\", line 1, INFO of mine",
    ]  # fmt: skip
    announced: dict[str, str] = {}
    assert list(readable(lines, announced.update)) == lines[4:]
    assert announced == {}


def test_an_application_that_has_ended_is_found_in_the_history_server(monkeypatch: pytest.MonkeyPatch) -> None:
    announced = {"spark_application": "app-1", "spark_ui": "http://driver:4040"}
    assert spark_link(announced) == "http://driver:4040"
    assert spark_link({"spark_application": "local-1", "spark_ui": "none"}) is None
    monkeypatch.setenv("ATOLL_SPARK_HISTORY_URL", "https://history/")
    assert spark_link(announced) == "https://history/history/app-1/"


def test_there_is_no_link_where_mlflow_has_no_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    announced = {"mlflow_experiment": "3", "mlflow_run": "abc"}
    monkeypatch.delenv("ATOLL_MLFLOW_URL", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://user@host/mlflow")
    assert (mlflow_link(announced), report_link(announced)) == (None, None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    assert mlflow_link(announced) == "https://mlflow.example/#/experiments/3/runs/abc"


@pytest.mark.parametrize("connection", ['{"conn_type": "spark"}', '{"conn_type": "spark", "host": ""}'])
def test_a_connection_without_a_host_is_refused_before_anything_is_submitted(
    operator: SparkJobOperator, connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", connection)
    context = {"dag": SimpleNamespace(dag_id="night"), "run_id": "manual__1", "task": operator}
    with pytest.raises(AirflowException, match="connection 'spark_default' has no host; accepted: a Spark connection"):
        operator.execute(context)
    assert operator._hook is None


def test_the_application_is_named_after_dag_task_and_run(operator: SparkJobOperator) -> None:
    context = {
        "dag": SimpleNamespace(dag_id="tune_model"),
        "task": SimpleNamespace(task_id="tune"),
        "run_id": "manual__1",
    }
    assert operator.render_template(operator.name, context) == "tune_model.tune manual__1"
