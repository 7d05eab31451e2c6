"""Starting processes in sessions of their own, and finding and stopping every one of them later.

A process belongs to the stack when it was recorded, is in the session or process group of a recorded one, descends from
one, or carries the stack's marker in its environment. No single sign is enough: Airflow's components rename themselves,
which wipes the environment that others can read; spark-submit starts JVMs that outlive it; a crashed parent leaves
orphans that descend from nothing.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from local.errors import ProcessesLeftError

MARKER = "ATOLL_STACK"
"""Environment variable that every process of a stack inherits; its value is the stack's folder."""

STOP_TIMEOUT = 5.0
"""Seconds between SIGTERM and SIGKILL; most of Airflow needs two, its triggerer sometimes hangs."""

ASK_AGAIN = 2.0
"""Seconds between two SIGTERMs: a worker of Airflow that is just ending a task misses the first."""


class ProcessRecord(BaseModel):
    """A process that cannot be mistaken for a later one with the same number.

    Attributes:
        pid: Its number.
        started: When it started, in the kernel's ticks since boot on Linux, which no clock adjustment moves.
    """

    model_config = ConfigDict(frozen=True)

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "ProcessRecord":
        """Records a running process.

        Raises:
            psutil.NoSuchProcess: There is none of this number.
        """
        return cls(pid=pid, started=_started(pid))

    def alive(self) -> bool:
        """Whether this very process still runs."""
        try:
            return _started(self.pid) == self.started and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


def boot_id() -> str:
    """Names the current boot of this machine: process numbers of another boot mean nothing."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else f"{psutil.boot_time():.0f}"


def start(command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path) -> "subprocess.Popen[bytes]":
    """Starts a process in a session of its own, so that the terminal's Ctrl-C does not reach it.

    Args:
        command: The program and its arguments.
        environment: Its whole environment.
        log: File that takes its output; the previous one is kept as `*.previous`.
        folder: Its working folder.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name(f"{log.name}.previous"))
    with log.open("ab") as output:  # so that a rotation may cut it short while it is written
        return subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
        )


def last_lines(log: Path, count: int = 15) -> str:
    """The last lines of a log file, or a line that says it is empty."""
    try:
        lines = log.read_text(errors="replace").rstrip().splitlines()
    except OSError:
        lines = []
    return "\n".join(lines[-count:]) or f"({log} is empty)"


def find(records: Iterable[ProcessRecord], marker: str) -> list[psutil.Process]:
    """Finds the living processes of a stack, without this one and those it descends from.

    Args:
        records: Processes known to have been started; each led its own session.
        marker: Value of `ATOLL_STACK`; also the folder below which Airflow's components have their working folder.
    """
    leaders = {record.pid: record for record in records}
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    everyone = {process.pid: process for process in psutil.process_iter() if process.pid not in ours}
    found = {pid for pid, process in everyone.items() if _belongs(process, leaders, marker)}
    children: dict[int, list[int]] = {}
    for pid, process in everyone.items():
        try:
            children.setdefault(process.ppid(), []).append(pid)
        except psutil.Error:
            continue
    waiting = list(found)
    while waiting:
        for child in children.get(waiting.pop(), []):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return [everyone[pid] for pid in sorted(found) if _living(everyone[pid])]


def stop(records: Sequence[ProcessRecord], marker: str, timeout: float = STOP_TIMEOUT) -> int:
    """Stops every process of a stack: SIGTERM, a deadline, SIGKILL, until a look around finds none.

    Returns:
        How many processes were stopped.

    Raises:
        ProcessesLeftError: Some could not be killed.
    """
    stopped: set[int] = set()
    asked: dict[int, float] = {}
    deadline = time.monotonic() + timeout
    while found := find(records, marker):
        stopped.update(process.pid for process in found)
        now = time.monotonic()
        if now > deadline + timeout:
            left = ", ".join(str(process.pid) for process in found)
            raise ProcessesLeftError(f"processes that cannot be killed: {left}")
        for process in found:
            if now >= deadline:
                _signal(process, signal.SIGKILL)
            elif now >= asked.get(process.pid, 0.0) + ASK_AGAIN:
                _signal(process, signal.SIGTERM)
                asked[process.pid] = now
        psutil.wait_procs(found, timeout=0.5)
    return len(stopped)


def _started(pid: int) -> float:
    if sys.platform.startswith("linux"):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            raise psutil.NoSuchProcess(pid) from None
        return float(stat.rpartition(")")[2].split()[19])  # field 22 of proc(5); the name may hold spaces
    return psutil.Process(pid).create_time()


def _belongs(process: psutil.Process, leaders: Mapping[int, ProcessRecord], marker: str) -> bool:
    try:
        for group in {process.pid, os.getpgid(process.pid), os.getsid(process.pid)}:
            leader = leaders.get(group)
            # A number is not given out again while a session or group still bears it, so a leader that is gone is no doubt.
            if leader and (leader.alive() or not psutil.pid_exists(group)):
                return True
    except (ProcessLookupError, PermissionError):
        return False
    try:
        if process.environ().get(MARKER) == marker:
            return True
    except (psutil.Error, OSError):
        pass
    try:
        program = next(iter(process.cmdline()), "").split(" ")[0]  # renamed, so that it may be one text or several
        return program == "airflow" and Path(process.cwd()).is_relative_to(marker)
    except (psutil.Error, OSError):
        return False


def _living(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)  # psutil compares the start time first
    except psutil.Error:
        return
