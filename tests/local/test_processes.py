"""Finding and stopping processes: by record, session, descent and marker, and never a stranger."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local import processes
from local.processes import MARKER, ProcessRecord
from tests.local.support import poll

Processes = list["subprocess.Popen[bytes]"]

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


@pytest.fixture
def marker(tmp_path: Path) -> str:
    return str(tmp_path / "stack")


@pytest.fixture
def started() -> Iterator[Processes]:
    running: Processes = []
    yield running
    for process in running:
        process.kill()
        process.wait()


def spawn(command: list[str], marker: str | None = None) -> "subprocess.Popen[bytes]":
    environment = {name: value for name, value in os.environ.items() if name != MARKER}
    if marker is not None:
        environment[MARKER] = marker
    return subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.PIPE)


def test_an_orphan_is_found_by_the_marker_in_its_environment(marker: str, started: Processes) -> None:
    orphan, stranger = spawn(["sleep", "600"], marker), spawn(["sleep", "600"])
    started += [orphan, stranger]
    assert [process.pid for process in processes.find([], marker)] == [orphan.pid]


def test_an_orphan_is_found_by_the_session_of_a_leader_that_is_gone(marker: str, started: Processes) -> None:
    leader = spawn(["sh", "-c", "sleep 600 & echo $!; read line"])
    started.append(leader)
    assert leader.stdout is not None
    orphan = int(leader.stdout.readline())
    record = ProcessRecord.of(leader.pid)
    leader.kill()
    leader.wait()
    assert not record.alive()
    assert [process.pid for process in processes.find([record], marker)] == [orphan]
    assert processes.stop([record], marker) == 1
    assert not processes.find([record], marker)


def test_a_descendant_in_a_session_of_its_own_is_found(marker: str, started: Processes) -> None:
    code = "import subprocess as s; p = s.Popen(['sleep', '600'], start_new_session=True); print(p.pid, flush=True); p.wait()"
    parent = spawn([sys.executable, "-c", code])
    started.append(parent)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert {process.pid for process in processes.find([ProcessRecord.of(parent.pid)], marker)} == {parent.pid, child}
    processes.stop([ProcessRecord.of(parent.pid)], marker)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_process_that_ignores_sigterm_is_killed_after_the_deadline(marker: str, started: Processes) -> None:
    deaf = spawn([sys.executable, "-c", DEAF], marker)
    started.append(deaf)
    assert deaf.stdout is not None
    assert deaf.stdout.readline() == b"deaf\n"
    assert processes.stop([], marker, timeout=1.0) == 1
    assert processes.find([], marker) == []


def test_a_stranger_with_a_recycled_number_is_not_touched(marker: str, started: Processes) -> None:
    stranger = spawn(["sleep", "600"])
    started.append(stranger)
    recycled = ProcessRecord(pid=stranger.pid, started=ProcessRecord.of(stranger.pid).started - 100)
    assert not recycled.alive()
    assert processes.find([recycled], marker) == []
    assert processes.stop([recycled], marker) == 0
    assert stranger.poll() is None


def test_the_caller_is_never_among_the_found(marker: str) -> None:
    found = processes.find([ProcessRecord.of(os.getpid())], marker)
    assert os.getpid() not in {process.pid for process in found}


def test_the_terminals_interrupt_does_not_reach_a_started_process(tmp_path: Path, marker: str) -> None:
    process = processes.start(["sleep", "600"], {"PATH": os.defpath, MARKER: marker}, tmp_path / "log", tmp_path)
    try:
        assert os.getpgid(process.pid) == process.pid != os.getpgrp()
        assert os.getsid(process.pid) == process.pid
    finally:
        processes.stop([ProcessRecord.of(process.pid)], marker)
    assert process.poll() is not None


def test_a_zombie_counts_as_ended() -> None:
    process = subprocess.Popen(["true"])
    record = ProcessRecord.of(process.pid)
    poll(lambda: not record.alive())
    process.wait()


def test_the_previous_log_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for word in ("one", "two"):
        processes.start(["echo", word], {"PATH": os.defpath}, log, tmp_path).wait()
    assert log.read_text() == "two\n"
    assert (tmp_path / "log.previous").read_text() == "one\n"
    assert processes.last_lines(tmp_path / "none").endswith("is empty)")
