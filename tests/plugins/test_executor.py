"""The executor's workers are killed while they wait, and the next task is run all the same. Real processes; no database."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow.executors.local_executor import LocalExecutor as AirflowsOwn
from atoll.executor import LocalExecutor, UnheldQueue

PARALLELISM = 2


@dataclass
class Nothing:
    """Work of no kind that Airflow knows, so that a worker answers at once that it failed."""

    key: str
    running_state: Any = None
    failure_state: str = "failed"
    display_name: str = "nothing"


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def started(kind: type[AirflowsOwn]) -> AirflowsOwn:
    executor = kind(parallelism=PARALLELISM)
    executor.start()
    return executor


@pytest.fixture
def executor() -> Iterator[AirflowsOwn]:
    executor = started(LocalExecutor)
    yield executor
    executor.end()


def give(executor: AirflowsOwn, key: str) -> None:
    """What `_process_workloads` does with a task that the scheduler has queued."""
    executor.activity_queue.put(Nothing(key))  # type: ignore[arg-type]
    with executor._unread_messages:
        executor._unread_messages.value += 1
    executor.sync()


def outcome(executor: AirflowsOwn, key: str, seconds: float = 30) -> str | None:
    """How the executor tells the scheduler that a task ended; None when it does not within the time."""

    def told() -> bool:
        executor.sync()
        return key in executor.event_buffer

    return executor.event_buffer[key][0] if wait_for(told, seconds) else None  # type: ignore[index,return-value]


def waiting(executor: AirflowsOwn) -> bool:
    """Whether all workers are in their queue's `get`: asleep, with the title that they take before it."""
    return all("idle" in Path(f"/proc/{pid}/cmdline").read_text() for pid in executor.workers)


def kill_all(executor: AirflowsOwn) -> None:
    assert wait_for(lambda: waiting(executor))
    time.sleep(0.5)  # from the title to the waiting itself
    for pid, worker in executor.workers.items():
        os.kill(pid, signal.SIGKILL)
        worker.join()


def test_tasks_are_run_by_workers_that_wait(executor: AirflowsOwn) -> None:
    for key in "abcdef":
        give(executor, key)
    assert [outcome(executor, key) for key in "abcdef"] == ["failed"] * 6
    assert len(executor.workers) == PARALLELISM


def test_a_task_is_run_after_all_waiting_workers_were_killed(executor: AirflowsOwn) -> None:
    before = set(executor.workers)
    kill_all(executor)
    give(executor, "next")
    assert outcome(executor, "next") == "failed"
    assert len(executor.workers) == PARALLELISM
    assert not before & set(executor.workers)


@pytest.mark.parametrize("which", range(PARALLELISM))
def test_a_task_is_run_after_one_waiting_worker_was_killed(executor: AirflowsOwn, which: int) -> None:
    assert wait_for(lambda: waiting(executor))
    time.sleep(0.5)
    pid = sorted(executor.workers)[which]
    os.kill(pid, signal.SIGKILL)
    executor.workers[pid].join()
    for key in ("next", "and the one after"):
        give(executor, key)
        assert outcome(executor, key) == "failed"


def test_airflows_own_still_stands_still_after_it() -> None:
    """What the class is for. When this fails, Airflow has mended it, and the class can go."""
    executor = started(AirflowsOwn)
    kill_all(executor)
    give(executor, "next")
    assert outcome(executor, "next", seconds=5) is None
    executor.activity_queue._rlock.release()  # type: ignore[attr-defined]
    assert outcome(executor, "next") == "failed"
    executor.end()


def test_everything_is_read_once_however_many_read(executor: AirflowsOwn) -> None:
    keys = [str(number) for number in range(200)]
    for key in keys:
        give(executor, key)
    assert isinstance(executor.activity_queue, UnheldQueue)
    assert {outcome(executor, key) for key in keys} == {"failed"}
    assert executor._unread_messages.value == 0
    assert executor.activity_queue.empty()
