"""The operator's contract with a job: what it submits, what it hands on, and how it tells a mistake from a mishap."""

import itertools
import json
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from atoll.operators import SparkJobOperator

SPARK_SUBMIT = """#!{python}
import json, pathlib, sys
given = sys.argv[1:]
pathlib.Path({record!r}).write_text(json.dumps(given))
folder = pathlib.Path(given[given.index("--result") + 1]).parent
folder.mkdir(parents=True, exist_ok=True)
answer = json.loads(pathlib.Path({answer!r}).read_text())
for name, content in answer["files"].items():
    (folder / name).write_text(json.dumps(content))
print("progress: 1/1")
sys.exit(answer["status"])
"""


class Submission:
    """A spark-submit that records how it is called and answers as a job would.

    What Spark itself does with such a call is seen in the tests of the whole chain.
    """

    def __init__(self, folder: Path) -> None:
        self._record, self._answer, self.home = folder / "given.json", folder / "answer.json", folder / "home"
        self.binary = folder / "spark-submit"
        self.binary.write_text(
            SPARK_SUBMIT.format(python=sys.executable, record=str(self._record), answer=str(self._answer))
        )
        self.binary.chmod(0o755)

    def answers(self, status: int, **files: Any) -> None:
        named = {f"{name}.json": content for name, content in files.items()}
        self._answer.write_text(json.dumps({"status": status, "files": named}))

    @property
    def submitted(self) -> bool:
        return self._record.exists()

    def option(self, name: str) -> list[str]:
        given = json.loads(self._record.read_text())
        return [value for option, value in itertools.pairwise(given) if option == name]

    @property
    def arguments(self) -> list[str]:
        given = json.loads(self._record.read_text())
        return given[next(index for index, text in enumerate(given) if text.endswith("tune_model.py")) + 1 :]


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submission:
    made = Submission(tmp_path)
    monkeypatch.setattr("atoll.operators._spark_submit", lambda: str(made.binary))
    monkeypatch.setenv("ATOLL_HOME", str(made.home))
    monkeypatch.setenv(
        "AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "spark://127.0.0.1", "port": 7077}'
    )
    made.answers(0, result={"labelled": 3})
    return made


@pytest.fixture
def run(submission: Submission) -> Run:
    def execute(**options: Any) -> dict[str, Any]:
        operator = SparkJobOperator(task_id="tune", job="tune_model", **({"arguments": {}} | options))
        context = {
            "dag": SimpleNamespace(dag_id="night"),
            "run_id": "manual__2026-03-01T00:00:00+00:00",
            "task": operator,
        }
        return operator.execute(context)

    return execute


def test_the_result_of_the_job_is_the_result_of_the_task(run: Run) -> None:
    assert run() == {"labelled": 3}


def test_an_argument_that_is_left_empty_in_the_form_is_not_passed(run: Run, submission: Submission) -> None:
    run(arguments={"study": "s", "model-version": "None", "image-set": "", "top-k": "5"})
    assert submission.arguments[:3] == ["--study=s", "--top-k=5", "--workspace"]


def test_the_job_is_told_its_workspace_and_where_to_leave_its_result(run: Run, submission: Submission) -> None:
    run()
    folder = submission.home / "runs" / "night" / "manual__2026-03-01T00-00-00-00-00" / "tune"
    assert submission.arguments == ["--workspace", str(submission.home), "--result", str(folder / "result.json")]


def test_a_spark_setting_that_is_left_empty_is_not_passed(run: Run, submission: Submission) -> None:
    run(conf={"spark.executor.cores": "4", "spark.executor.memory": "None"})
    assert submission.option("--conf") == ["spark.executor.cores=4"]
    assert submission.option("--master") == ["spark://127.0.0.1:7077"]


def test_the_code_of_the_jobs_travels_to_the_executors(run: Run, submission: Submission) -> None:
    run()
    (archive,) = submission.option("--py-files")
    with zipfile.ZipFile(archive) as code:
        names = code.namelist()
    assert "jobs/tuning/trial.py" in names
    assert all(name.startswith("jobs/") for name in names)


def test_a_mistake_fails_the_task_at_once_with_the_jobs_own_words(run: Run, submission: Submission) -> None:
    submission.answers(2, error={"message": "experiments/x.yaml: model: 'rnn'", "transient": False})
    with pytest.raises(AirflowFailException, match=r"^experiments/x\.yaml: model: 'rnn'$"):
        run()


def test_what_may_pass_is_left_to_the_retries(run: Run, submission: Submission) -> None:
    submission.answers(2, error={"message": "another driver works on it", "transient": True})
    with pytest.raises(AirflowException, match=r"^another driver works on it$") as raised:
        run()
    assert not isinstance(raised.value, AirflowFailException)


def test_a_job_that_dies_without_a_word_is_left_to_the_retries(run: Run, submission: Submission) -> None:
    submission.answers(137)
    with pytest.raises(AirflowException) as raised:
        run()
    assert not isinstance(raised.value, AirflowFailException)


def test_the_result_of_an_earlier_try_is_never_handed_on(run: Run, submission: Submission) -> None:
    run()
    submission.answers(0)
    with pytest.raises(FileNotFoundError):
        run()


def test_the_message_of_an_earlier_try_is_not_told_again(run: Run, submission: Submission) -> None:
    submission.answers(2, error={"message": "no such folder", "transient": False})
    with pytest.raises(AirflowFailException):
        run()
    submission.answers(1)
    with pytest.raises(AirflowException) as raised:
        run()
    assert "no such folder" not in str(raised.value)


def test_an_unknown_connection_fails_and_never_becomes_yarn(run: Run, submission: Submission) -> None:
    with pytest.raises(AirflowFailException, match="connection 'nosuch' is not defined; accepted: "):
        run(conn_id="nosuch")
    assert not submission.submitted


@pytest.mark.parametrize(("mode", "told"), [("client", True), ("cluster", False)])
def test_a_driver_on_this_machine_is_told_with_whom_it_ends(
    submission: Submission, mode: str, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "spark", "host": "yarn", "extra": {"deploy-mode": mode}}
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps(connection))
    hook = SparkJobOperator(task_id="tune", job="tune_model", arguments={})._get_hook()
    ends_with = f"{os.getpid()} {os.getppid()}" if told else None
    assert (hook._env or {}).get("ATOLL_ENDS_WITH") == ends_with
