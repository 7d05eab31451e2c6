"""Every DAG is what the person on call expects, and parses without loading the engines."""

import copy
import itertools
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, CronDataIntervalTimetable
from atoll.notices import ChatNotifier

from jobs.experiment import experiment_names
from jobs.overrides import ExperimentOverrides
from jobs.workspace import REPOSITORY

NAMES = ["housekeeping", "label_images", "report_metrics", "roll_back_model", "tune_model"]

NIGHTLY = ["label_images", "tune_model"]


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(REPOSITORY / "dags")


@pytest.fixture(params=NAMES)
def dag(bag: DagBag, request: pytest.FixtureRequest) -> DAG:
    return bag.dags[request.param]


def test_every_file_is_imported_without_error(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert sorted(bag.dags) == NAMES
    assert {Path(dag.fileloc).stem for dag in bag.dags.values()} == {
        path.stem for path in (REPOSITORY / "dags").glob("*.py")
    }


def test_the_run_book_speaks_to_the_person_on_call(dag: DAG) -> None:
    assert len(dag.doc_md or "") > 400
    assert dag.description
    assert "atoll" in dag.tags


def test_every_task_has_an_owner_retries_and_an_end(dag: DAG) -> None:
    for task in dag.tasks:
        assert task.owner == "atoll"
        assert task.retries >= 1
        assert task.execution_timeout <= timedelta(hours=12)


def test_a_task_is_tried_again_ever_later_and_people_are_told_when_it_fails_for_good(dag: DAG) -> None:
    for task in dag.tasks:
        assert (task.retry_delay, task.retry_exponential_backoff) == (timedelta(minutes=1), 2)
        assert task.max_retry_delay <= timedelta(minutes=15)
        assert [type(told) for told in task.on_failure_callback] == [ChatNotifier]


@pytest.mark.parametrize(("name", "hours"), [("tune_model", 6), ("label_images", 3)])
def test_a_night_that_is_not_over_by_the_morning_is_told(bag: DagBag, name: str, hours: int) -> None:
    (deadline,) = bag.dags[name].deadline
    assert deadline.interval == timedelta(hours=hours)
    assert deadline.callback.kwargs == {"hours": hours}
    assert deadline.reference.reference_name == "RunQueued", "with Airflow's own a failed run could not be cleared"


@pytest.mark.parametrize("name", NIGHTLY)
def test_the_schedule_gives_each_run_a_whole_day_and_nothing_is_caught_up_unasked(bag: DagBag, name: str) -> None:
    dag = bag.dags[name]
    assert isinstance(dag.timetable, CronDataIntervalTimetable)
    assert not dag.catchup
    assert dag.max_active_runs == 1


def test_everything_that_a_person_may_change_says_what_it_is(dag: DAG) -> None:
    for name in dag.params:
        schema = dag.params.get_param(name).schema
        assert schema.get("title"), name
        assert schema.get("description_md"), name


@pytest.mark.parametrize("name", NIGHTLY)
def test_a_night_needs_nobody_to_fill_in_the_form(bag: DagBag, name: str) -> None:
    bag.dags[name].params.validate()


def test_the_experiments_of_the_folder_can_be_chosen(bag: DagBag) -> None:
    assert bag.dags["tune_model"].params.get_param("experiment").schema["enum"] == experiment_names()
    assert bag.dags["label_images"].params.get_param("model").schema["enum"] == experiment_names()


@pytest.mark.parametrize(
    ("dag_id", "param", "good", "bad"),
    [
        ("label_images", "model_version", [None, 1, 7], [0, "new", 1.5]),
        ("label_images", "model_policy", ["champion", "as_of", "pinned"], ["best", None]),
        ("label_images", "day", [None, "2026-03-01"], ["yesterday", "2026-02-30", 20260301]),
        ("label_images", "wait_minutes", [0, 60, 10_080], [-1, 10_081, None]),
        ("label_images", "if_missing", ["fail", "skip"], ["wait", None]),
        ("label_images", "sample", [None, 1, 1_000_000], [0, 0.5]),
        ("label_images", "variant", [None, "challenger", "V2"], ["", "../x", "a-b"]),
        ("label_images", "min_score", [0, 0.5, 1], [-0.1, 1.1, None]),
        ("label_images", "on_drift", ["fail", "warn", "off"], ["panic", None]),
        ("label_images", "compare_days", [1, 90], [0, 91]),
        ("label_images", "quarantine_rise", [0, 100], [-1, 101]),
        ("label_images", "label_drift", [0.01, 0.25], [0, 101]),
        ("label_images", "confidence_drop", [0, 100], [-1, 101]),
        ("label_images", "top_k", [1, 100], [0, 101]),
        ("label_images", "image_set", ["photos", "a.b_c+d-1"], ["", 3, "../x", ".hidden", "a/b"]),
        ("housekeeping", "dry_run", [True, False], ["no", None]),
        ("housekeeping", "checkpoint_days", [1, 3650], [0, 3651, None]),
        ("housekeeping", "dataset_days", [1], [0, 0.5]),
        ("roll_back_model", "version", [1, 7], [0, None, "champion"]),
        ("roll_back_model", "why", ["it calls zebras horses"], ["", "x", None]),
        ("tune_model", "experiment", ["digits", "mnist"], ["nosuch", None]),
        ("tune_model", "strategy", ["file", "grid", "sparse", "tpe"], ["luck", None]),
        ("tune_model", "trials", [None, 1, 100_000], [0, 100_001, 1.5, "many"]),
        ("tune_model", "epochs", [None, 1, 10_000], [0, 10_001]),
        ("tune_model", "minutes", [None, 0.5, 20_160], [0, -1, 20_161]),
        ("tune_model", "trial_minutes", [None, 0.5, 20_160], [0, 20_161]),
        ("tune_model", "early_stopping", ["file", "on", "off"], ["maybe", True, None]),
        ("tune_model", "seed", [None, 0, 2**32 - 1], [-1, 2**32]),
        ("tune_model", "finalist_seeds", [None, 1, 100], [0, 101]),
        ("tune_model", "promote", [True, False], ["yes", None]),
        ("tune_model", "margin", [0, 0.5, 50], [-0.1, 51, None]),
        ("tune_model", "significance", [0.05, 0.5], [0, 0.51, None]),
        ("tune_model", "executors", [None, 1, 1000], [0, 1001]),
        ("tune_model", "executor_cores", [None, 1], [0, "two"]),
        ("tune_model", "executor_memory", [None, "512m", "2g"], ["2", "2 GB"]),
    ],
)
def test_the_form_accepts_what_makes_sense_and_nothing_else(
    bag: DagBag, dag_id: str, param: str, good: list[object], bad: list[object]
) -> None:
    field = copy.deepcopy(bag.dags[dag_id].params.get_param(param))  # resolving keeps the value
    for value in good:
        assert field.resolve(value) == value
    for value in bad:
        with pytest.raises(ValueError, match="Failed validating"):
            field.resolve(value)


def test_the_steps_follow_each_other(bag: DagBag) -> None:
    dag = bag.dags["tune_model"]
    order = ["prepare_dataset", "tune_model", "select_model", "gate_model", "promote_model", "report"]
    assert [task.task_id for task in dag.topological_sort()] == order
    for before, after in itertools.pairwise(order):
        assert before in dag.task_dict[after].upstream_task_ids


def test_the_form_of_a_run_has_a_field_with_the_same_limits_for_each_override(bag: DagBag) -> None:
    dag = bag.dags["tune_model"]
    for name, field in ExperimentOverrides.model_json_schema()["properties"].items():
        schema = dag.params.get_param(name).schema
        limits = next(kind for kind in field["anyOf"] if kind["type"] != "null")
        if "enum" in limits:
            assert schema["enum"] == ["file", *limits["enum"]]
        if "exclusiveMaximum" in limits:  # of whole numbers
            limits["maximum"] = limits["exclusiveMaximum"] - 1
        for limit in ("minimum", "maximum", "exclusiveMinimum"):
            assert schema.get(limit) == limits.get(limit), name


@pytest.mark.parametrize("step", ["prepare_dataset", "tune_model"])
def test_what_the_form_leaves_to_the_file_is_not_passed_and_the_rest_is(bag: DagBag, step: str) -> None:
    task = bag.dags["tune_model"].task_dict[step]
    context = {"params": task.dag.params.dump() | {"strategy": "tpe", "trials": 12, "minutes": 1.5}, "run_id": "r"}
    rendered = task.render_template(
        {name: value for name, value in task.arguments.items() if name not in ("experiment", "dataset", "study")},
        context,
        task.dag.get_template_env(),
    )
    assert {name: value for name, value in rendered.items() if value not in ("", "None")} == {
        "strategy": "tpe",
        "trials": "12",
        "minutes": "1.5",
    }


PLAN = {
    "model_name": "digits",
    "model_version": 7,
    "image_set": "photos",
    "day": "2026-03-01",
    "published_as": "photos",
}


def test_the_labelling_step_does_what_the_run_has_settled(bag: DagBag) -> None:
    dag = bag.dags["label_images"]
    task = dag.task_dict["label_images"]
    context = {
        "ti": SimpleNamespace(xcom_pull=lambda step: PLAN if step == "resolve_model" else None),
        "params": dag.params.dump(),
    }
    rendered = task.render_template(task.arguments, context, dag.get_template_env())
    assert {name: value for name, value in rendered.items() if value not in ("", "None")} == {
        "model": "digits",
        "model-version": "7",
        "image-set": "photos",
        "date": "2026-03-01",
        "publish-as": "photos",
        "publish": "later",
        "top-k": "5",
        "min-score": "0.0",
    }


def test_nothing_is_reported_where_airflow_sends_no_metrics(bag: DagBag) -> None:
    assert type(bag.dags["report_metrics"].timetable).__name__ == "NullTimetable"


def test_a_day_is_checked_before_it_is_published(bag: DagBag) -> None:
    dag = bag.dags["label_images"]
    order = ["resolve_model", "wait_for_images", "label_images", "check_labels", "publish_labels", "report"]
    assert [task.task_id for task in dag.topological_sort()] == order
    for before, after in itertools.pairwise(order):
        assert before in dag.task_dict[after].upstream_task_ids


def test_two_days_never_add_the_asset_of_an_image_set_at_once(bag: DagBag) -> None:
    assert bag.dags["label_images"].get_task("publish_labels").max_active_tis_per_dag == 1


def test_a_study_is_named_after_its_run_so_that_a_retry_finds_it(bag: DagBag) -> None:
    task = bag.dags["tune_model"].task_dict["select_model"]
    context = {
        "run_id": "scheduled__2026-03-01T01:00:00+00:00",
        "params": {"experiment": "digits"},
        **task.dag.user_defined_macros,
    }
    study = task.render_template(task.arguments, context, task.dag.get_template_env())["study"]
    assert study == "digits-scheduled__2026-03-01T01-00-00-00-00"


def test_reading_the_dags_loads_neither_tensorflow_nor_spark_nor_mlflow() -> None:
    code = (
        "import pathlib, runpy, sys\n"
        "for path in pathlib.Path('dags').glob('*.py'): runpy.run_path(str(path))\n"
        "heavy = {'tensorflow', 'keras', 'pyspark', 'mlflow', 'optuna', 'pandas'}\n"
        "sys.exit(str(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'plugins'}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr.strip().splitlines()[-1] == "[]", done.stderr
