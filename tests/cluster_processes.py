"""The processes that a cluster's workers run, for tests that end one of them."""

import subprocess
import time
from collections.abc import Callable

import psutil


def executor_of(worker: "subprocess.Popen[bytes]") -> psutil.Process:
    """The JVM of the executor that a worker runs now; after a loss it takes a moment until there is one again."""
    found = poll(lambda: [one for one in below(psutil.Process(worker.pid)) if "--executor-id" in command_of(one)])
    return found[0]


def kill_with_its_executor(worker: "subprocess.Popen[bytes]") -> None:
    """Takes a worker away for good: one that is merely asked to end may still start another executor, which outlives it."""
    executor = executor_of(worker)
    worker.kill()
    executor.kill()


def python_worker_of(worker: "subprocess.Popen[bytes]") -> psutil.Process:
    """The Python process that works now: the youngest below the executor's daemon."""
    found = poll(lambda: [one for one in below(executor_of(worker)) if "pyspark.daemon" in command_of(one)])
    return max(found, key=lambda one: one.pid)


def below(process: psutil.Process) -> list[psutil.Process]:
    return process.children(recursive=True)


def command_of(process: psutil.Process) -> list[str]:
    """The command line of a process; nothing when it has just ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def poll(look: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
    deadline = time.monotonic() + 30
    while not (found := look()):
        assert time.monotonic() < deadline, "there is no such process"
        time.sleep(0.1)
    return found
