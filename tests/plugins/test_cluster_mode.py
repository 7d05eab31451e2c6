"""Drivers on the cluster: what spark-submit is told for YARN and Kubernetes, and how a retry finds one that still runs."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.apache.spark.hooks import spark_submit
from airflow.sdk.exceptions import AirflowFailException
from atoll.operators import SparkJobOperator

from jobs.workspace import REPOSITORY

APPLICATION = "application_1772323200000_0001"

SPARK_SUBMIT = """#!{python}
import json, pathlib, sys
with pathlib.Path({record!r}).open("a") as record:
    record.write(json.dumps(sys.argv[1:]) + "\\n")
print("INFO impl.YarnClientImpl: Submitted application {application}")
"""


class ResourceManager:
    """YARN's REST interface on the loopback address, as far as Airflow's hook asks it."""

    def __init__(self) -> None:
        self.says: list[tuple[str, str]] = []
        """State and final status of each answer; the last one stays."""
        self.url = ""

    def answer(self) -> dict[str, Any]:
        state, final = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        return {"app": {"state": state, "finalStatus": final, "diagnostics": ""}}


@pytest.fixture
def manager() -> Iterator[ResourceManager]:
    made = ResourceManager()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the server's own name
            known = self.path == f"/ws/v1/cluster/apps/{APPLICATION}"
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(json.dumps(made.answer() if known else {}).encode())

        def log_message(self, *arguments: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


class Store(dict[str, Any]):
    """What Airflow keeps of a task between its tries."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


class Tries:
    """Runs one task of a connection, as often as it is asked to, with what Airflow keeps in between."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.record, self.home, self.store = folder / "record", folder / "home", Store()
        self._patch = monkeypatch
        binary = folder / "spark-submit"
        binary.write_text(SPARK_SUBMIT.format(python=sys.executable, record=str(self.record), application=APPLICATION))
        binary.chmod(0o755)
        monkeypatch.setattr("atoll.operators._spark_submit", lambda: str(binary))
        monkeypatch.setenv("ATOLL_HOME", str(self.home))
        for name in ("MLFLOW_TRACKING_URI", "ATOLL_OPTUNA_STORAGE", "ATOLL_EXPERIMENTS"):
            monkeypatch.delenv(name, raising=False)

    def connect(self, host: str, **extra: str) -> None:
        connection = {"conn_type": "spark", "host": host, "extra": {"deploy-mode": "cluster"} | extra}
        self._patch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps(connection))

    def operator(self) -> SparkJobOperator:
        conf = {"spark.executor.cores": "4"}
        return SparkJobOperator(task_id="tune", job="tune_model", arguments={"study": "night"}, conf=conf)

    def run(self) -> dict[str, Any]:
        task = self.operator()
        context = {
            "dag": SimpleNamespace(dag_id="night"), "run_id": "manual__1", "task": task, "task_state_store": self.store,
        }  # fmt: skip
        return task.execute(context)

    def leave(self, name: str, content: dict[str, Any]) -> None:
        """Leaves what the driver on the cluster writes."""
        folder = self.home / "runs" / "night" / "manual__1" / "tune"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))

    @property
    def submitted(self) -> list[list[str]]:
        return [json.loads(line) for line in self.record.read_text().splitlines()] if self.record.exists() else []


@pytest.fixture
def tries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tries:
    return Tries(tmp_path, monkeypatch)


def command_of(tries: Tries) -> list[str]:
    """The command line that the operator would give to spark-submit, without the program, its name and its archive."""
    task = tries.operator()
    task.application_args = ["--study", "night"]
    hook = task._get_hook()
    command = hook._build_spark_submit_command(task.application)[1:]
    name = command.index("--name")
    return command[:name] + command[name + 2 :]


def test_the_command_line_for_yarn_with_a_resource_manager_to_ask(
    tries: Tries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    tries.connect("yarn", queue="night", yarn_resourcemanager_webapp_address="http://rm:8088")
    assert command_of(tries) == [
        *("--master", "yarn"),
        *("--conf", "spark.executor.cores=4"),
        *("--conf", "spark.yarn.submit.waitAppCompletion=false"),
        *("--conf", f"spark.yarn.appMasterEnv.ATOLL_HOME={tries.home}"),
        *("--conf", "spark.yarn.appMasterEnv.MLFLOW_TRACKING_URI=http://mlflow:5000"),
        *("--queue", "night"),
        *("--deploy-mode", "cluster"),
        str(REPOSITORY / "jobs" / "tune_model.py"),
        *("--study", "night"),
    ]


def test_the_command_line_for_kubernetes(tries: Tries, monkeypatch: pytest.MonkeyPatch) -> None:
    # The provider of Kubernetes, which is not in the lock, is asked for the driver's state only.
    monkeypatch.setattr(spark_submit, "kube_client", SimpleNamespace(), raising=False)
    tries.connect("k8s://https://kubernetes:6443", namespace="night")
    assert command_of(tries) == [
        *("--master", "k8s://https://kubernetes:6443"),
        *("--conf", "spark.executor.cores=4"),
        *("--conf", f"spark.kubernetes.driverEnv.ATOLL_HOME={tries.home}"),
        *("--conf", "spark.kubernetes.namespace=night"),
        *("--deploy-mode", "cluster"),
        *("--conf", "spark.kubernetes.submission.waitAppCompletion=false"),
        str(REPOSITORY / "jobs" / "tune_model.py"),
        *("--study", "night"),
    ]


def test_without_a_resource_manager_spark_submit_waits_and_nothing_is_found_again(tries: Tries) -> None:
    tries.connect("yarn")
    tries.store["spark_job_id"] = APPLICATION
    tries.leave("result.json", {"of": "an earlier try"})
    with pytest.raises(FileNotFoundError):  # this spark-submit leaves no result
        tries.run()
    assert "spark.yarn.submit.waitAppCompletion=false" not in tries.submitted[0]


def test_a_retry_finds_the_driver_that_outlived_airflow_and_hands_on_its_result(
    tries: Tries, manager: ResourceManager
) -> None:
    tries.connect("yarn", yarn_resourcemanager_webapp_address=manager.url)
    manager.says = [("FAILED", "FAILED")]
    with pytest.raises(RuntimeError, match=f"{APPLICATION} ended with state: FAILED"):
        tries.run()
    assert tries.store["spark_job_id"] == APPLICATION
    for states in ([("RUNNING", "UNDEFINED"), ("FINISHED", "SUCCEEDED")], [("FINISHED", "SUCCEEDED")]):
        manager.says = list(states)
        tries.leave("result.json", {"labelled": 3})
        assert tries.run() == {"labelled": 3}
    assert len(tries.submitted) == 1, "by the first try alone"


def test_a_mistake_that_a_driver_on_the_cluster_tells_fails_the_task_at_once(
    tries: Tries, manager: ResourceManager
) -> None:
    tries.connect("yarn", yarn_resourcemanager_webapp_address=manager.url)
    tries.store["spark_job_id"] = APPLICATION
    manager.says = [("RUNNING", "UNDEFINED"), ("FINISHED", "FAILED")]
    tries.leave("error.json", {"message": "experiments/x.yaml: model: 'rnn'", "transient": False})
    with pytest.raises(AirflowFailException, match=r"^experiments/x\.yaml: model: 'rnn'$"):
        tries.run()


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "ATOLL_OPTUNA_STORAGE"])
def test_no_password_gets_onto_the_command_line(tries: Tries, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "postgresql://me:hush@db/night")
    tries.connect("yarn")
    with pytest.raises(AirflowFailException, match=f"^{name}: holds a password") as refused:
        tries.run()
    assert "hush" not in str(refused.value)
    assert tries.submitted == []


def test_a_standalone_cluster_runs_no_driver(tries: Tries) -> None:
    tries.connect("spark://master:7077")
    with pytest.raises(AirflowFailException, match="a standalone cluster runs no Python; accepted: 'client'"):
        tries.run()


def test_kubernetes_needs_a_provider_that_is_not_in_the_lock_and_says_so(tries: Tries) -> None:
    tries.connect("k8s://https://kubernetes:6443", namespace="night")
    with pytest.raises(
        AirflowFailException, match="accepted: apache-airflow-providers-cncf-kubernetes, installed beside"
    ):
        tries.run()


@pytest.mark.parametrize("host", ["yarn", "k8s://https://kubernetes:6443", "spark://master:7077"])
def test_a_driver_beside_airflow_gets_its_environment_whatever_the_master(
    tries: Tries, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_submit, "kube_client", SimpleNamespace(), raising=False)
    monkeypatch.delenv("PYSPARK_DRIVER_PYTHON", raising=False)
    tries.connect(host, **{"deploy-mode": "client"})
    hook = tries.operator()._get_hook()
    command = hook._build_spark_submit_command("tune_model.py")
    assert (hook._env or {})["PYSPARK_DRIVER_PYTHON"] == sys.executable
    assert [text for text in command if "PYSPARK" in text or "ATOLL" in text] == []
