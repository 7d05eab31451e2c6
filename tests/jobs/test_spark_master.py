"""Asking for a master in all the ways an address is written, and the code that is sent to it."""

import os
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.errors import SparkUnavailableError
from jobs.spark import check_master, executor_layout
from jobs.workspace import REPOSITORY


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port that is taken, so that no one else takes it, but does not listen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_master_may_have_an_address_of_version_six() -> None:
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listening:
        check_master(f"spark://[::1]:{listening.getsockname()[1]}")


def test_the_first_master_that_answers_is_enough(unused_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        check_master(f"spark://localhost:{port}")
        check_master(f"spark://127.0.0.1:{unused_port},a..b:7077,127.0.0.1:{port}")


def test_every_master_that_does_not_answer_is_named_and_may_answer_later(unused_port: int) -> None:
    master = f"spark://127.0.0.1:{unused_port},127.0.0.1:{unused_port}"
    with pytest.raises(SparkUnavailableError) as refused:
        check_master(master)
    refusal = f"127.0.0.1:{unused_port}: Connection refused"
    assert str(refused.value) == f"spark.master: no Spark master answers at {master} ({refusal}; {refusal})"
    assert refused.value.transient


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_a_host_that_can_be_none_is_told_in_one_line(host: str) -> None:
    with pytest.raises(
        SparkUnavailableError, match=rf"no Spark master answers at spark://{host}:7077 \(.*label"
    ) as told:
        check_master(f"spark://{host}:7077")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("master", ["spark://", "spark://:7077", "spark://host", "spark://host:", "spark://host:²"])
def test_what_is_no_address_is_refused_before_anything_is_asked(master: str) -> None:
    with pytest.raises(SparkUnavailableError) as told:
        check_master(master)
    assert str(told.value) == f"spark.master: {master!r} is not an address; accepted: spark://HOST:PORT"


@pytest.mark.parametrize(
    "master", ["yarn", "k8s://https://127.0.0.1:9", "spark://host:7077", "local-cluster[2,1,1024]"]
)
def test_an_executor_whose_cores_are_unknown_gets_no_trials(master: str) -> None:
    with pytest.raises(SparkUnavailableError, match=r"^spark\.executor\.cores is not set for .*; accepted: the number"):
        executor_layout(master, None, None)


@pytest.mark.parametrize(
    ("master", "cores", "task"), [("local[4]", None, "1"), ("yarn", "2", "4"), ("local", None, "2")]
)
def test_cores_that_would_idle_or_be_shared_are_refused(master: str, cores: str | None, task: str) -> None:
    with pytest.raises(SparkUnavailableError, match=rf"^spark\.task\.cpus: {task} differs from the \d cores"):
        executor_layout(master, cores, task)


def archive(checkout: Path) -> Path:
    """Packs the code as it lies in another checkout."""
    code = "import pathlib; from jobs.spark import archive_code; print(archive_code(pathlib.Path()))"
    folder = checkout.with_name(f"{checkout.name}-packed")
    folder.mkdir()
    subprocess.run([sys.executable, "-c", code], cwd=folder, env={"PYTHONPATH": str(checkout)}, check=True, timeout=60)
    return folder / "jobs.zip"


def test_the_archive_depends_on_the_code_and_not_on_where_or_when_it_was_checked_out(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(REPOSITORY / "jobs", first / "jobs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(first / "jobs", second / "jobs")
    for path in (second / "jobs").rglob("*.py"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o600)
    (second / "tests").mkdir()
    (second / "tests" / "test_it.py").touch()
    (second / "jobs" / "notes.txt").touch()
    (second / "jobs" / "__pycache__").mkdir(exist_ok=True)
    (second / "jobs" / "__pycache__" / "old.pyc").touch()
    packed = archive(first)
    assert archive(second).read_bytes() == packed.read_bytes()
    with zipfile.ZipFile(packed) as code:
        wanted = [*(first / "jobs").rglob("*.py"), first / "jobs" / "tuning" / "report.html"]
        assert sorted(code.namelist()) == sorted(str(path.relative_to(first)) for path in wanted)
    (second / "jobs" / "errors.py").write_text("# changed\n" + (second / "jobs" / "errors.py").read_text())
    changed = tmp_path / "third"
    second.rename(changed)
    assert archive(changed).read_bytes() != packed.read_bytes()


def test_the_archive_can_be_imported_from(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "jobs", tmp_path / "code" / "jobs", ignore=shutil.ignore_patterns("__pycache__"))
    packed = archive(tmp_path / "code")
    code = "import jobs.tuning.search_space as module, jobs.labelling; print(module.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(packed)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == f"{packed}/jobs/tuning/search_space.py"
