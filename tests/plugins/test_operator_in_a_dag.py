"""The operator as a DAG uses it: templates, the driver's environment, the shipped code, retries."""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from atoll.operators import SparkJobOperator

from jobs.label_images import parser
from jobs.workspace import REPOSITORY

SPARK_SUBMIT = """#!{python}
import json, os, pathlib, sys
given = sys.argv[1:]
pathlib.Path({record!r}).write_text(json.dumps([given, dict(os.environ)]))
result = pathlib.Path(given[given.index("--result") + 1])
result.parent.mkdir(parents=True, exist_ok=True)
left = pathlib.Path({answer!r})
if left.exists():
    (result.parent / "error.json").write_text(left.read_text())
    sys.exit(2)
result.write_text('{{"labelled": 3}}')
"""

Submit = Callable[..., dict[str, Any]]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Where the fake spark-submit leaves what it was given: its arguments and its environment."""
    return tmp_path / "record.json"


@pytest.fixture
def answer(tmp_path: Path) -> Path:
    """What the fake spark-submit leaves as `error.json`, if it is there."""
    return tmp_path / "answer.json"


@pytest.fixture
def submit(tmp_path: Path, record: Path, answer: Path, monkeypatch: pytest.MonkeyPatch) -> Submit:
    """Runs one task of a DAG: its templates are rendered with the given params, then it is executed."""
    binary = tmp_path / "spark-submit"
    binary.write_text(SPARK_SUBMIT.format(python=sys.executable, record=str(record), answer=str(answer)))
    binary.chmod(0o755)
    monkeypatch.setattr("atoll.operators._spark_submit", lambda: str(binary))
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", '{"conn_type": "spark", "host": "local[2]"}')

    def run(params: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        asked = {name: Param(value) for name, value in (params or {}).items()}
        with DAG("night", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), params=asked) as dag:
            task = SparkJobOperator(task_id="label", job="label_images", **({"arguments": {}} | options))
        context = {"dag": dag, "run_id": "manual__1", "task": task, "params": dag.params.dump()}
        task.render_template_fields(context)
        return task.execute(context)

    return run


def given(record: Path) -> list[str]:
    return json.loads(record.read_text())[0]


def after_the_script(record: Path) -> list[str]:
    arguments = given(record)
    return arguments[arguments.index(str(REPOSITORY / "jobs" / "label_images.py")) + 1 :]


@pytest.mark.parametrize(
    ("version", "passed"), [(7, ["--model-version=7"]), (None, []), ("", [])], ids=["pinned", "none", "empty"]
)
def test_what_the_form_leaves_empty_is_not_passed_to_the_job(
    submit: Submit, record: Path, version: int | str | None, passed: list[str]
) -> None:
    arguments = {"model-version": "{{ params.model_version }}", "image-set": "{{ params.image_set }}"}
    submit({"model_version": version, "image_set": "photos"}, arguments=arguments)
    assert after_the_script(record)[: len(passed) + 2] == [*passed, "--image-set=photos", "--workspace"]


def test_an_argument_that_looks_like_nothing_but_is_something_is_passed(submit: Submit, record: Path) -> None:
    submit(arguments={"top-k": "0", "flag": "False", "text": "a b; $HOME"})
    assert after_the_script(record)[:3] == ["--top-k=0", "--flag=False", "--text=a b; $HOME"]


def test_a_value_that_looks_like_an_option_stays_a_value(submit: Submit, record: Path) -> None:
    hostile = [
        "--workspace=/tmp",
        "--result",
        "-h",
        "x\n--sample\n1",
        "$(id); `id`",
        "--conf spark.jars=http://host/a.jar",
    ]
    for value in hostile:
        submit({"set": value}, arguments={"image-set": "{{ params.set }}"})
        assert "spark.jars" not in " ".join(given(record)[: given(record).index("--name")])
        read = parser()
        read.add_argument("--workspace")
        read.add_argument("--result")
        options = read.parse_args(after_the_script(record))
        assert options.image_set == value
        assert options.workspace == os.environ["ATOLL_HOME"]


def test_no_secret_stands_on_the_command_line_or_among_the_rendered_fields(
    submit: Submit, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is seen by every user of the machine, the second by everyone who may see the run."""
    for name in ("MLFLOW_TRACKING_URI", "ATOLL_OPTUNA_STORAGE", "AIRFLOW__CORE__FERNET_KEY", "ATOLL_NOTIFY_URL"):
        monkeypatch.setenv(name, "postgresql://me:S3CRET@host/database")
    rendered: list[Any] = []
    execute = SparkJobOperator.execute

    def seen(task: SparkJobOperator, context: Any) -> dict[str, Any]:
        result = execute(task, context)
        rendered.extend(getattr(task, name, None) for name in task.template_fields)
        return result

    monkeypatch.setattr(SparkJobOperator, "execute", seen)
    result = submit(arguments={"study": "night"})
    arguments, environment = json.loads(record.read_text())
    assert "S3CRET" in environment["MLFLOW_TRACKING_URI"], "the job itself needs it"
    assert "S3CRET" not in " ".join(arguments)
    assert len(rendered) == len(SparkJobOperator.template_fields)
    assert "S3CRET" not in repr(rendered) + repr(result)


def test_a_spark_setting_that_the_form_leaves_empty_is_left_to_the_cluster(submit: Submit, record: Path) -> None:
    conf = {"spark.executor.cores": "{{ params.cores }}", "spark.executor.memory": "{{ params.memory }}"}
    submit({"cores": 4, "memory": None}, conf=conf)
    arguments = given(record)
    assert "spark.executor.cores=4" in arguments
    assert not any("spark.executor.memory" in argument for argument in arguments)


def test_a_retry_submits_the_same_again(submit: Submit, record: Path, tmp_path: Path) -> None:
    with DAG("night", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        task = SparkJobOperator(task_id="label", job="label_images", arguments={"x": "1"}, conf={"a.b": "2"})
    calls = []
    for _ in range(2):
        task.execute({"dag": dag, "run_id": "manual__1", "task": task})
        calls.append(given(record))
    assert calls[0] == calls[1]
    assert json.loads((tmp_path / "home/runs/night/manual__1/label/result.json").read_text()) == {"labelled": 3}


def test_the_code_is_packed_once_for_each_state_of_it(submit: Submit, record: Path, tmp_path: Path) -> None:
    submit()
    packed = Path(given(record)[given(record).index("--py-files") + 1])
    assert packed.name == "jobs.zip"
    assert packed.is_relative_to(tmp_path / "home")  # a place that every node reaches
    written = packed.stat().st_mtime_ns
    submit()
    assert given(record)[given(record).index("--py-files") + 1] == str(packed)
    assert packed.stat().st_mtime_ns == written
    assert [path.name for path in packed.parent.iterdir()] == ["jobs.zip"]


def test_code_that_was_changed_in_the_workspace_is_packed_again(submit: Submit, record: Path) -> None:
    submit()
    packed = Path(given(record)[given(record).index("--py-files") + 1])
    code = packed.read_bytes()
    packed.write_bytes(b"import os  # what an executor may have left there")
    submit()
    assert packed.read_bytes() == code


def test_the_driver_runs_on_this_python_with_its_spark(
    submit: Submit, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYSPARK_DRIVER_PYTHON", raising=False)
    monkeypatch.delenv("SPARK_HOME", raising=False)
    submit()
    _, environment = json.loads(record.read_text())
    assert environment["PYSPARK_DRIVER_PYTHON"] == sys.executable
    assert (Path(environment["SPARK_HOME"]) / "bin" / "spark-submit").is_file()
    assert environment["ATOLL_HOME"] == os.environ["ATOLL_HOME"]


def test_what_the_user_has_set_for_the_driver_is_left_alone(
    submit: Submit, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_DRIVER_PYTHON", "python-of-mine")
    monkeypatch.setenv("SPARK_HOME", "spark-of-mine")
    submit()
    _, environment = json.loads(record.read_text())
    assert (environment["PYSPARK_DRIVER_PYTHON"], environment["SPARK_HOME"]) == ("python-of-mine", "spark-of-mine")


@pytest.mark.parametrize(("transient", "at_once"), [(True, False), (False, True)])
def test_the_task_fails_with_the_jobs_words_and_is_tried_again_only_where_that_may_help(
    submit: Submit, answer: Path, transient: bool, at_once: bool
) -> None:
    answer.write_text(json.dumps({"message": "study night: another driver works on it", "transient": transient}))
    with pytest.raises(AirflowException, match=r"^study night: another driver works on it$") as raised:
        submit()
    assert isinstance(raised.value, AirflowFailException) is at_once


def test_the_next_try_after_a_failure_hands_on_its_result(submit: Submit, answer: Path, tmp_path: Path) -> None:
    answer.write_text('{"message": "later", "transient": true}')
    with pytest.raises(AirflowException, match="later"):
        submit()
    answer.unlink()
    assert submit() == {"labelled": 3}
    assert [path.name for path in (tmp_path / "home/runs/night/manual__1/label").iterdir()] == ["result.json"]


def test_a_connection_of_ones_own_is_used(submit: Submit, record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BIG", '{"conn_type": "spark", "host": "spark://big", "port": 7077}')
    submit(conn_id="big")
    assert given(record)[:2] == ["--master", "spark://big:7077"]
