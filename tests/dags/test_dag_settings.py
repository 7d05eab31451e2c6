"""What the environment may change about the DAGs, and the days that their schedules give."""

import itertools
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables.base import DataInterval, TimeRestriction

from jobs.workspace import REPOSITORY

SETTINGS = {"tune_model": "ATOLL_TUNE_SCHEDULE", "label_images": "ATOLL_LABEL_SCHEDULE"}


def parse(name: str) -> DAG:
    bag = DagBag(REPOSITORY / "dags" / f"{name}.py")
    assert bag.import_errors == {}
    return bag.dags[name]


def intervals(dag: DAG, count: int) -> list[tuple[datetime, datetime, datetime]]:
    """The first runs as the scheduler would make them: start and end of the data interval, and when each begins."""
    timetable = decode_timetable(encode_timetable(dag.timetable))
    restriction = TimeRestriction(earliest=dag.start_date, latest=None, catchup=True)
    last: DataInterval | None = None
    runs = []
    for _ in range(count):
        run = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        assert run is not None
        last = run.data_interval
        runs.append((last.start, last.end, run.run_after))
    return runs


@pytest.mark.parametrize("name", SETTINGS)
def test_each_run_has_one_day_of_data_and_begins_when_the_day_is_over(name: str) -> None:
    runs = intervals(parse(name), 40)
    for start, end, begins in runs:
        assert end - start == timedelta(days=1)
        assert begins == end
        assert end.utcoffset() == timedelta(0)
    for (_, end, _), (start, _, _) in itertools.pairwise(runs):
        assert start == end  # no day is left out


def test_labels_are_made_after_the_champion_of_the_night() -> None:
    (_, _, tuned), (_, _, labelled) = intervals(parse("tune_model"), 1)[0], intervals(parse("label_images"), 1)[0]
    assert tuned < labelled
    assert tuned.date() == labelled.date()


@pytest.mark.parametrize(("name", "setting"), SETTINGS.items())
def test_a_schedule_may_be_another_or_none(name: str, setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(setting, "30 */6 * * *")
    (start, end, _), *_ = intervals(parse(name), 1)
    assert (start, end) == (datetime(2026, 1, 1, 0, 30, tzinfo=UTC), datetime(2026, 1, 1, 6, 30, tzinfo=UTC))
    monkeypatch.setenv(setting, "none")
    assert parse(name).schedule is None


def test_labelling_may_begin_when_images_are_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOLL_LABEL_SCHEDULE", "asset")
    (awaited,) = parse("label_images").timetable.asset_condition.objects
    assert awaited.uri == "atoll://image_sets/announced"


@pytest.mark.parametrize(("name", "step"), [("tune_model", "tune_model"), ("label_images", "label_images")])
def test_the_steps_that_use_the_cluster_may_have_a_pool_of_their_own(
    name: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert parse(name).task_dict[step].pool == "default_pool"
    monkeypatch.setattr("atoll.dag_params.SPARK_POOL", "cluster")
    tasks = parse(name).task_dict
    assert [task for task in tasks if tasks[task].pool == "cluster"] == [step]


@pytest.mark.parametrize(("setting", "dry"), [(None, True), ("delete", False), ("yes", True)])
def test_housekeeping_only_lists_until_it_is_told_to_delete(
    setting: str | None, dry: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting:
        monkeypatch.setenv("ATOLL_HOUSEKEEPING", setting)
    assert parse("housekeeping").params["dry_run"] is dry


@pytest.mark.parametrize(("name", "param"), [("tune_model", "experiment"), ("label_images", "model")])
def test_the_form_offers_the_experiments_of_the_users_own_folder(
    name: str, param: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATOLL_EXPERIMENTS", str(tmp_path))
    assert parse(name).params.get_param(param).schema["enum"] == [""]  # a DAG of an empty folder is no broken DAG
    for stem in ("zebras", "apples"):
        (tmp_path / f"{stem}.yaml").touch()
    offered = parse(name).params.get_param(param)
    assert offered.schema["enum"] == ["apples", "zebras"]
    assert offered.value == "apples"
    (tmp_path / "digits.yaml").touch()
    assert parse(name).params.get_param(param).value == "digits"


def test_each_step_is_given_the_experiment_file_of_that_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOLL_EXPERIMENTS", str(tmp_path))
    (tmp_path / "mine.yaml").touch()
    dag = parse("tune_model")
    for step in ("prepare_dataset", "tune_model"):
        task = dag.task_dict[step]
        context = {"params": {"experiment": "mine"}}
        rendered = task.render_template(task.arguments["experiment"], context, dag.get_template_env())
        assert rendered == str(tmp_path / "mine.yaml")


def test_the_data_set_that_was_prepared_is_the_one_that_is_tuned_on() -> None:
    class TaskInstance:
        @staticmethod
        def xcom_pull(task_id: str) -> dict[str, str]:
            return {"folder": f"/w/{task_id}"}

    dag = parse("tune_model")
    task = dag.task_dict["tune_model"]
    rendered = task.render_template(task.arguments["dataset"], {"ti": TaskInstance()}, dag.get_template_env())
    assert rendered == "/w/prepare_dataset"


@pytest.mark.parametrize(("name", "step"), [("tune_model", "tune_model"), ("label_images", "label_images")])
@pytest.mark.parametrize(
    ("cores", "memory", "expected"), [(4, "2g", ["4", "2g"]), (None, None, ["None", "None"])], ids=["given", "empty"]
)
def test_the_cluster_fields_of_the_form_reach_spark(
    name: str, step: str, cores: int | None, memory: str | None, expected: list[str]
) -> None:
    dag = parse(name)
    task = dag.task_dict[step]
    context = {"params": dag.params.dump() | {"executor_cores": cores, "executor_memory": memory}}
    conf = task.render_template(task.conf, context, dag.get_template_env())
    assert [conf["spark.executor.cores"], conf["spark.executor.memory"]] == expected


@pytest.mark.parametrize(
    ("executors", "cores", "expected"),
    [(3, 4, ["3", "12"]), (3, None, ["3", "None"]), (None, 4, ["None", "None"])],
    ids=["both", "cores unknown", "no limit"],
)
def test_the_number_of_executors_is_told_in_the_words_of_each_cluster(
    executors: int | None, cores: int | None, expected: list[str]
) -> None:
    dag = parse("tune_model")
    task = dag.task_dict["tune_model"]
    context = {"params": dag.params.dump() | {"executors": executors, "executor_cores": cores}}
    conf = task.render_template(task.conf, context, dag.get_template_env())
    assert [conf["spark.executor.instances"], conf["spark.cores.max"]] == expected


def test_reading_the_dags_makes_no_workspace(tmp_path: Path) -> None:
    """Airflow parses it every few seconds, on machines that may have no workspace."""
    code = "import runpy\nfor name in ('tune_model', 'label_images'): runpy.run_path(f'dags/{name}.py')"
    home = tmp_path / "home"
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'plugins'}", "ATOLL_HOME": str(home)},
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert not home.exists()
