"""How a driver ends: with its result, with one line, or without a word when it is interrupted."""

import argparse
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from jobs import application
from jobs.errors import InvalidGraphError
from jobs.results import Failure
from jobs.workspace import REPOSITORY

DIGITS = REPOSITORY / "experiments" / "digits.yaml"


def run_job(script: str, *arguments: object, home: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, f"jobs/{script}.py", *map(str, arguments)],
        cwd=REPOSITORY,
        env=os.environ | {"ATOLL_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("prepare_dataset", ("--experiment", DIGITS)),
        ("tune_model", ("--experiment", DIGITS, "--dataset", "nosuch", "--study", "night")),
        ("select_model", ("--study", "night")),
    ],
)
def test_a_workspace_below_a_file_is_one_line(script: str, arguments: tuple[object, ...], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run_job(script, *arguments, "--result", tmp_path / "run" / "result.json", home=tmp_path / "file" / "home")
    said = f"ATOLL_HOME: '{tmp_path / 'file'}' is a file; accepted: a folder"
    assert (done.returncode, done.stderr) == (2, f"{script}: error: {said}\n")
    assert json.loads((tmp_path / "run" / "error.json").read_text()) == {"message": said, "transient": False}


def test_a_name_that_leads_out_of_the_workspace_is_one_line(tmp_path: Path) -> None:
    done = run_job("select_model", "--study", "../night", home=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("select_model: error: study: '../night' cannot name a folder; accepted: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_job_leaves_its_result_and_no_error(tmp_path: Path) -> None:
    done = run_job("prepare_dataset", "--experiment", DIGITS, "--result", tmp_path / "r" / "result.json", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["result.json"]
    assert json.loads((tmp_path / "r" / "result.json").read_text())["name"] == "digits"


def test_an_argument_wins_over_the_environment(tmp_path: Path) -> None:
    done = run_job("prepare_dataset", "--experiment", DIGITS, "--workspace", tmp_path / "given", home=tmp_path / "home")
    assert done.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["given"]


def stop(error: BaseException, *arguments: object, monkeypatch: pytest.MonkeyPatch) -> int:
    def fail(options: argparse.Namespace) -> NoReturn:
        raise error

    monkeypatch.setattr(sys, "argv", ["job", *map(str, arguments)])
    monkeypatch.setattr(application, "die_with_parent", lambda: None)  # it would bind the tests to their parent
    with pytest.raises(SystemExit) as stopped:
        application.run(fail, argparse.ArgumentParser(prog="job"))
    return int(stopped.value.code or 0)


def test_a_read_only_file_system_is_one_line_and_does_not_pass_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(errno.EROFS, os.strerror(errno.EROFS), "labels/part.parquet")
    assert stop(error, "--result", tmp_path / "result.json", monkeypatch=monkeypatch) == 2
    said = "labels/part.parquet: read-only file system; accepted: a place that this user can write"
    assert capsys.readouterr().err == f"job: error: {said}\n"
    assert json.loads((tmp_path / "error.json").read_text()) == {"message": said, "transient": False}


def test_the_line_is_told_even_where_the_error_cannot_be_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    full = OSError(errno.ENOSPC, "full")
    assert stop(full, "--result", tmp_path / "file" / "result.json", monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == "job: error: the workspace: no space left on the device; nothing was published\n"


def test_a_job_that_is_started_by_hand_needs_no_place_for_its_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["job"])
    monkeypatch.setattr(application, "die_with_parent", lambda: None)
    application.run(lambda _: Failure(message="any", transient=False), argparse.ArgumentParser(prog="job"))
    assert capsys.readouterr().err == ""


def test_a_result_that_does_not_fit_on_the_disk_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(sys, "argv", ["job", "--result", str(tmp_path / "result.json")])
    monkeypatch.setattr(application, "die_with_parent", lambda: None)
    monkeypatch.setattr("os.fsync", fill)
    with pytest.raises(SystemExit) as stopped:
        application.run(lambda _: Failure(message="any", transient=False), argparse.ArgumentParser(prog="job"))
    assert stopped.value.code == 2
    assert capsys.readouterr().err.endswith("no space left on the device; nothing was published\n")
    assert list(tmp_path.iterdir()) == []


def test_a_message_from_outside_writes_no_line_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is read by people, and by the operator, which makes links of what the job says."""

    def refuse(_: argparse.Namespace) -> NoReturn:
        raise InvalidGraphError("node x\r\nSpark application a, its UI at http://elsewhere\x1b[2J\u202e: not allowed")

    monkeypatch.setattr(sys, "argv", ["job", "--result", str(tmp_path / "result.json")])
    monkeypatch.setattr(application, "die_with_parent", lambda: None)
    with pytest.raises(SystemExit):
        application.run(refuse, argparse.ArgumentParser(prog="job"))
    said = "node x Spark application a, its UI at http://elsewhere\\x1b[2J\\u202e: not allowed"
    assert capsys.readouterr().err == f"job: error: {said}\n"
    assert json.loads((tmp_path / "error.json").read_text())["message"] == said


def test_an_interrupted_driver_ends_without_a_stack_trace() -> None:
    code = (
        "import argparse, signal, time; from jobs import application\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell ignores it for what it starts in the background
        "def main(options): print('up', flush=True); time.sleep(600)\n"
        "application.run(main, argparse.ArgumentParser(prog='job'))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "up\n"
        driver.send_signal(signal.SIGINT)
        _, said = driver.communicate(timeout=60)
    assert (driver.returncode, said) == (128 + signal.SIGINT, "")
