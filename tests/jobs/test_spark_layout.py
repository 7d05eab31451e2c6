"""How tasks are laid onto executors, decided before Spark starts."""

import os
import socket
import zipfile
from pathlib import Path

import pytest

from jobs.errors import InvalidArgumentError, SparkUnavailableError
from jobs.spark import ExecutorLayout, archive_code, check_master, executor_layout, executor_name, executor_wait

CPUS = os.cpu_count() or 1


@pytest.mark.parametrize(
    ("master", "executor_cores", "task_cpus", "cores", "local"),
    [
        ("local", None, None, 1, True),
        ("local[3]", None, None, 3, True),
        ("local[*]", None, None, CPUS, True),
        ("local[2, 4]", None, "2", 2, True),
        ("local[2]", "8", None, 2, True),
        ("spark://host:7077", "4", None, 4, False),
        ("yarn", "4", "4", 4, False),
    ],
)
def test_one_task_gets_all_cores_of_its_executor(
    master: str, executor_cores: str | None, task_cpus: str | None, cores: int, local: bool
) -> None:
    assert executor_layout(master, executor_cores, task_cpus) == ExecutorLayout(cores, local)


def test_cores_that_only_the_cluster_knows_must_be_said() -> None:
    with pytest.raises(SparkUnavailableError, match=r"spark\.executor\.cores is not set for spark://h:1; accepted: "):
        executor_layout("spark://h:1", None, None)


def test_a_setting_that_would_put_two_trials_on_an_executor_is_refused() -> None:
    with pytest.raises(SparkUnavailableError, match=r"spark\.task\.cpus: 1 differs from the 4 cores"):
        executor_layout("spark://h:1", "4", "1")


def test_a_master_that_listens_is_accepted_and_others_are_not_asked(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        check_master(f"spark://127.0.0.1:9,127.0.0.1:{listening.getsockname()[1]}")
    check_master("local[2]")
    check_master("yarn")


@pytest.mark.parametrize(
    ("master", "said"),
    [
        ("spark://127.0.0.1:9", "no Spark master answers at spark://127.0.0.1:9 (127.0.0.1:9: Connection refused)"),
        ("spark://127.0.0.1:9,127.0.0.1:10", "127.0.0.1:10: Connection refused"),
        ("spark://host", "'spark://host' is not an address; accepted: spark://HOST:PORT"),
        ("spark://host:http", "is not an address"),
    ],
)
def test_a_master_that_does_not_answer_is_named(master: str, said: str) -> None:
    with pytest.raises(SparkUnavailableError) as refused:
        check_master(master)
    assert said in str(refused.value)


def test_the_archive_of_the_code_is_the_same_each_time_and_holds_the_package_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = archive_code(tmp_path / "one"), archive_code(tmp_path / "two")
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as code:
        assert {name.split("/")[0] for name in code.namelist()} == {"jobs"}
        assert "jobs/labelling/partition.py" in code.namelist()


@pytest.mark.parametrize(("setting", "seconds"), [(None, 120.0), ("1800", 1800.0), ("0.5", 0.5)])
def test_a_busy_queue_may_be_given_more_time(setting: str | None, seconds: float) -> None:
    assert executor_wait(setting) == seconds


@pytest.mark.parametrize("setting", ["30min", "0", "-1", "inf", "nan", ""])
def test_nonsense_for_the_time_to_wait_is_refused(setting: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"spark\.atoll\.executorWait: .* accepted: for example 1800"):
        executor_wait(setting)


def test_a_process_without_an_executor_is_the_driver() -> None:
    assert executor_name() == f"driver@{socket.gethostname()}"
