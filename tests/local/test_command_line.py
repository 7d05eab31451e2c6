"""Mistakes that a user can make, each told in one line, before anything is started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.support import REPOSITORY


def refused(tmp_path: Path, command: str = "up", **settings: str) -> str:
    """Runs a command that must fail, and gives its one line."""
    foreign = ("ATOLL_", "JAVA_HOME")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    done = subprocess.run(
        [sys.executable, "-m", "local", command],
        cwd=REPOSITORY,
        env=environment | {"ATOLL_HOME": str(tmp_path / "home")} | settings,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_no_java_says_how_to_install_it(tmp_path: Path) -> None:
    line = refused(tmp_path, PATH=str(tmp_path))
    assert "Java is not on the PATH; install Java 17 or later" in line


def test_an_old_java_is_refused(tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    java.chmod(0o755)
    assert "is Java 8, which Spark does not run on" in refused(tmp_path, JAVA_HOME=str(tmp_path))


def test_a_workspace_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    assert "is a file; accepted: a folder" in refused(tmp_path)


def test_a_workspace_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    line = refused(tmp_path, ATOLL_HOME="/proc/atoll")  # not even root can
    assert "cannot be written" in line


@pytest.mark.parametrize("master", ["yarn-ish", "spark://nohost", "local[0]", "http://host:7077"])
def test_nonsense_for_a_spark_master_is_refused(tmp_path: Path, master: str) -> None:
    line = refused(tmp_path, ATOLL_SPARK_MASTER=master)
    assert f"ATOLL_SPARK_MASTER: {master!r} is not a Spark master" in line


def test_a_spark_master_that_does_not_answer_is_refused(tmp_path: Path) -> None:
    assert "no Spark master answers at spark://127.0.0.1:9" in refused(
        tmp_path, ATOLL_SPARK_MASTER="spark://127.0.0.1:9"
    )


@pytest.mark.parametrize("port", ["http", "0", "70000", "-1"])
def test_nonsense_for_a_port_is_refused(tmp_path: Path, port: str) -> None:
    assert f"ATOLL_MLFLOW_PORT: {port!r} is not a port" in refused(tmp_path, ATOLL_MLFLOW_PORT=port)


def test_a_database_that_does_not_answer_is_refused_without_its_password(tmp_path: Path) -> None:
    line = refused(tmp_path, ATOLL_DATABASE_URL="postgresql://me:hush@127.0.0.1:9")
    assert "PostgreSQL at 127.0.0.1:9" in line
    assert "Connection refused" in line
    assert "hush" not in line


def test_nonsense_for_a_database_is_refused_without_repeating_it(tmp_path: Path) -> None:
    line = refused(tmp_path, ATOLL_DATABASE_URL="mysql://me:hush@host")
    assert "ATOLL_DATABASE_URL: not the address of a PostgreSQL server" in line
    assert "hush" not in line


def test_airflows_command_line_needs_a_stack_that_runs(tmp_path: Path) -> None:
    assert "Atoll is down; accepted: a stack that runs, as after: make up" in refused(tmp_path, "airflow")
