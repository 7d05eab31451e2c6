"""Each job run as a user runs it: a mistake is one line and status 2, and no driver outlives its parent."""

import argparse
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import psutil
import pytest

from jobs import application
from jobs.errors import SparkUnavailableError
from jobs.workspace import REPOSITORY
from tests.conftest import Submitted

DIGITS = REPOSITORY / "experiments" / "digits.yaml"


def run_job(script: str, *arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, f"jobs/{script}.py", *map(str, arguments)],
        cwd=REPOSITORY,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def unknown_field(tmp_path: Path) -> Path:
    path = tmp_path / "digits.yaml"
    path.write_text(DIGITS.read_text() + "speed: high\n")
    return path


def mistakes(tmp_path: Path, unknown_field: Path) -> list[tuple[str, tuple[object, ...], str]]:
    blocked = tmp_path / "file"
    blocked.write_text("")
    study = ("--study", "night")
    return [
        ("prepare_dataset", ("--experiment", "nosuch.yaml"), "nosuch.yaml: no such experiment file"),
        ("prepare_dataset", ("--experiment", unknown_field), "speed: unknown field; accepted: "),
        ("prepare_dataset", ("--experiment", DIGITS, "--workspace", blocked), "is a file; accepted: a folder"),
        ("prepare_dataset", ("--experiment", DIGITS, "--workspace", "s3a://bucket"), "'s3a://bucket' is not a path"),
        ("tune_model", ("--experiment", unknown_field, "--dataset", tmp_path, *study), "speed: unknown field"),
        ("tune_model", ("--experiment", DIGITS, "--dataset", tmp_path, *study), "no prepared data set there"),
        ("select_model", (*study, "--workspace", tmp_path), "night"),
    ]


def test_a_mistake_is_one_line_with_status_2_and_is_left_for_airflow(tmp_path: Path, unknown_field: Path) -> None:
    for number, (script, arguments, said) in enumerate(mistakes(tmp_path, unknown_field)):
        folder = tmp_path / f"run-{number}"
        home = {"ATOLL_HOME": str(tmp_path / "home")}
        done = run_job(script, *arguments, "--result", folder / "result.json", **home)
        assert done.returncode == 2, done
        assert done.stderr.count("\n") == 1, done.stderr
        assert said in done.stderr
        left = json.loads((folder / "error.json").read_text())
        assert done.stderr == f"{script}: error: {left['message']}\n"
        assert left["transient"] is False
        assert not (folder / "result.json").exists()


@pytest.mark.parametrize("script", ["prepare_dataset", "tune_model", "select_model", "label_images"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--speed", "high"), "--speed"),
        (("--workspace",), "argument --workspace: expected one argument"),
        (("--result",), "argument --result: expected one argument"),
    ],
)
def test_an_argument_that_cannot_be_understood_is_one_line(
    script: str, arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = run_job(script, *arguments, ATOLL_HOME=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert said in done.stderr or "the following arguments are required" in done.stderr
    assert done.stderr.endswith(f"; accepted: see {script}.py --help\n")


def test_an_argument_that_cannot_be_understood_is_left_for_airflow(tmp_path: Path) -> None:
    done = run_job("label_images", "--date", "today", "--result", tmp_path / "result.json", ATOLL_HOME=str(tmp_path))
    left = json.loads((tmp_path / "error.json").read_text())
    assert left["transient"] is False
    assert "argument --date: 'today' is no day; accepted: YYYY-MM-DD" in left["message"]
    assert done.stderr == f"label_images: error: {left['message']}\n"


def test_an_unreachable_master_is_told_at_once_and_may_pass(
    tmp_path: Path, spark_submit: Callable[..., Submitted]
) -> None:
    prepared = run_job(
        "prepare_dataset", "--experiment", DIGITS, "--workspace", tmp_path, "--result", tmp_path / "d.json"
    )
    assert prepared.returncode == 0, prepared.stderr
    dataset = json.loads((tmp_path / "d.json").read_text())["folder"]
    options = {"experiment": DIGITS, "dataset": dataset, "study": "s", "workspace": tmp_path}
    done = spark_submit(
        "tune_model",
        *(text for name, value in options.items() for text in (f"--{name}", value)),
        *("--result", tmp_path / "run" / "result.json"),
        conf={"spark.executor.cores": "1"},
        master="spark://127.0.0.1:9",
    )
    assert done.returncode != 0
    left = json.loads((tmp_path / "run" / "error.json").read_text())
    assert left["transient"] is True
    assert left["message"].startswith("spark.master: no Spark master answers at spark://127.0.0.1:9 (")
    assert "Traceback" not in done.stdout + done.stderr


def stops_with(
    error: Exception, result: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    def fail(options: argparse.Namespace) -> NoReturn:
        raise error

    monkeypatch.setattr(sys, "argv", ["job", "--result", str(result)])
    monkeypatch.setattr(application, "die_with_parent", lambda: None)  # it would bind the tests to their parent
    with pytest.raises(SystemExit) as stopped:
        application.run(fail, argparse.ArgumentParser(prog="job"))
    assert stopped.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_line_and_may_pass(
    number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(number, os.strerror(number), "labels/part.parquet")
    said = stops_with(error, tmp_path / "result.json", capsys, monkeypatch)
    assert said == "job: error: labels/part.parquet: no space left on the device; nothing was published\n"
    assert json.loads((tmp_path / "error.json").read_text())["transient"] is True


def test_a_place_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = stops_with(PermissionError(errno.EACCES, "no", "there"), tmp_path / "result.json", capsys, monkeypatch)
    assert said == "job: error: there: permission denied; accepted: a place that this user can write\n"


def test_what_may_pass_is_marked_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stops_with(SparkUnavailableError("no executor"), tmp_path / "result.json", capsys, monkeypatch)
    assert json.loads((tmp_path / "error.json").read_text()) == {"message": "no executor", "transient": True}


def test_a_defect_keeps_its_stack_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(options: argparse.Namespace) -> NoReturn:
        raise RuntimeError("a bug")

    monkeypatch.setattr(sys, "argv", ["job"])
    monkeypatch.setattr(application, "die_with_parent", lambda: None)
    with pytest.raises(RuntimeError, match="a bug"):
        application.run(fail, argparse.ArgumentParser(prog="job"))


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def wait_until_gone(process: psutil.Process) -> None:
    deadline = time.monotonic() + 20
    while not gone(process):
        assert time.monotonic() < deadline, "the driver outlives its parent"
        time.sleep(0.05)


def test_a_driver_dies_with_spark_submit_and_leaves_no_orphan() -> None:
    driver = (
        "import time; from jobs.application import die_with_parent\n"
        "die_with_parent(); print('up', flush=True); time.sleep(600)"
    )
    submit = (
        "import subprocess, sys\n"
        f"driver = subprocess.Popen([sys.executable, '-c', {driver!r}], stdout=subprocess.PIPE, text=True)\n"
        "driver.stdout.readline()\n"
        "print(driver.pid, flush=True)\n"
        "driver.wait()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", submit], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    orphan = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    wait_until_gone(orphan)


WATCHING = (
    "import time; from jobs.ends_with import end_with_ancestors\n"
    "end_with_ancestors(); print('up', flush=True); time.sleep(600)"
)


def start_chain(ends_with: str) -> tuple["subprocess.Popen[str]", list[psutil.Process]]:
    """Starts an Airflow task, its spark-submit and its driver, in their shape; gives the first, and the other two."""
    submit = (
        "import subprocess, sys\n"
        f"driver = subprocess.Popen([sys.executable, '-c', {WATCHING!r}], stdout=subprocess.PIPE, text=True)\n"
        "said = driver.stdout.readline()\n"
        "print(driver.pid, flush=True)\n"
        "driver.wait()\n"
    )
    task = (
        "import os, subprocess, sys\n"
        f"given = os.environ | {{'ATOLL_ENDS_WITH': {ends_with!r}.format(me=os.getpid())}}\n"
        f"submit = subprocess.Popen([sys.executable, '-c', {submit!r}], env=given, stdout=subprocess.PIPE, text=True)\n"
        "print(submit.pid, submit.stdout.readline(), flush=True)\n"
        "submit.wait()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", task], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    numbers = parent.stdout.readline().split()
    return parent, [psutil.Process(int(number)) for number in numbers if psutil.pid_exists(int(number))]


def test_a_driver_ends_when_airflows_task_is_killed_though_spark_submit_lives_on() -> None:
    parent, chain = start_chain("{me}")
    submit, driver = chain
    assert not gone(driver)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    wait_until_gone(driver)
    wait_until_gone(submit)  # it has awaited the driver only


@pytest.mark.parametrize("program", ["true", "cat"])
def test_a_driver_ends_at_once_when_what_it_ends_with_is_gone_or_no_ancestor(program: str) -> None:
    other = subprocess.Popen([program], stdin=subprocess.PIPE)
    if program == "true":
        other.wait()
    try:
        given = os.environ | {"ATOLL_ENDS_WITH": f"{os.getpid()} {other.pid}"}
        done = subprocess.run([sys.executable, "-c", WATCHING], cwd=REPOSITORY, env=given, timeout=60, check=False)
    finally:
        other.communicate()
    assert done.returncode == -signal.SIGTERM
