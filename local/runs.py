"""Starting a DAG run and following it to its end."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from local.errors import AirflowRequestError, RunFailedError
from local.progress import Display, TaskView, last_progress
from local.rest import ENDED_WELL, Airflow, Night, Run, Task

PREFIX = "demo__"
"""How the identifiers of the demo's runs begin."""

POLL = 1.0
"""Seconds between two looks."""

DAG_TIMEOUT = 300.0
"""Seconds until Airflow must have read a DAG file."""

RUN_TIMEOUT = 1200.0
"""Seconds until a run must have ended."""

LOG_LINES = 20
"""Lines of a failed task's log that are shown."""


def wait_for_dags(airflow: Airflow, dags: Sequence[str], since: datetime | None, timeout: float = DAG_TIMEOUT) -> None:
    """Waits until Airflow has read some DAGs.

    Args:
        airflow: Where.
        dags: Their identifiers.
        since: They must have been read after this moment, so that a change to their files counts; None takes any.
        timeout: Seconds to wait.

    Raises:
        RunFailedError: It has not read them in time; says which files cannot be imported.
    """
    deadline = time.monotonic() + timeout
    while missing := set(dags) - airflow.dags(since):
        if time.monotonic() > deadline:
            reasons = [f"{file}: {error}" for file, error in airflow.import_errors().items()]
            raise RunFailedError(
                f"Airflow has no DAG {', '.join(sorted(missing))} after {timeout:.0f} s; "
                + ("\n".join(reasons) or "no file defines it")
            )
        time.sleep(0.3)


def follow(
    airflow: Airflow,
    dag: str,
    conf: dict[str, str | int | None],
    display: Display,
    instead_of: Night | None = None,
    timeout: float = RUN_TIMEOUT,
) -> Run:
    """Starts a run, shows its tasks as they go, and waits for its end; an interrupted demo leaves no run behind.

    Args:
        airflow: Where.
        dag: The DAG.
        conf: The run's parameters.
        display: Shows the progress.
        instead_of: The night whose place the run takes.
        timeout: Seconds to wait for the end.

    Raises:
        RunFailedError: The run failed, with the name of the task and the end of its log, or took too long.
    """
    for left in airflow.active_runs(dag, PREFIX):  # of a demo that was killed; they would hold up this one
        airflow.fail(left)
    paused = airflow.paused(dag)
    # First the run, then the DAG; where its schedule is due, Airflow may still begin a scheduled run first.
    run = airflow.trigger(dag, f"{PREFIX}{time.time():.3f}", conf, instead_of)
    try:
        if paused:
            airflow.pause(dag, False)
        run = _wait(airflow, run, display, timeout)
    except BaseException:
        _quietly(lambda: airflow.fail(run))
        if paused:
            _quietly(lambda: airflow.pause(dag, True))
        raise
    if run.state not in ENDED_WELL:
        if paused:
            _quietly(lambda: airflow.pause(dag, True))
        raise RunFailedError(_failure(airflow, run))
    if paused:
        airflow.pause(dag, True)
    return run


def _wait(airflow: Airflow, run: Run, display: Display, timeout: float) -> Run:
    deadline = time.monotonic() + timeout
    lines: dict[str, str] = {}
    read_at_end: set[str] = set()
    waits_for = ""
    while True:
        run = airflow.run(run)
        if run.state == "queued" and not waits_for:
            active = airflow.active_runs(run.dag)  # among which this run, which may have begun since it was looked at
            waits_for = ", ".join(other.id for other in active if other.state == "running" and other.id != run.id)
            if waits_for:
                display.say(f"{run.dag} waits for its run {waits_for}, which began before")
        over = run.state in ("success", "failed")
        views = []
        for task in airflow.tasks(run):
            # A log may grow for a moment after the end of its task, so it is read once more at the end of the run.
            if task.state == "running" or (task.ended and task.attempt and (over or task.name not in read_at_end)):
                lines[task.name] = last_progress(airflow.log(run, task)) or lines.get(task.name, "")
            if task.ended:
                read_at_end.add(task.name)
            views.append(TaskView(run.dag, task, lines.get(task.name, "")))
        display.show(views)
        if over:
            return run
        if time.monotonic() > deadline:
            raise RunFailedError(f"{run.dag}: still {run.state} after {timeout:.0f} s; its tasks: {_states(views)}")
        time.sleep(POLL)


def _failure(airflow: Airflow, run: Run) -> str:
    tasks = airflow.tasks(run)
    failed = next((task for task in tasks if task.state == "failed"), None)
    if failed is None:
        return f"{run.dag} failed, though no task of it did"
    tail = "\n".join(f"  {line}" for line in _log(airflow, run, failed)[-LOG_LINES:])
    return f"task {run.dag}.{failed.name} failed; the last lines of its log:\n{tail}"


def _log(airflow: Airflow, run: Run, task: Task) -> list[str]:
    return [line for line in airflow.log(run, task) if line.strip() and not line.startswith(("::group", "::endgroup"))]


def _states(views: Sequence[TaskView]) -> str:
    return ", ".join(f"{view.task.name} {view.task.state}" for view in views)


def _quietly(action: Callable[[], None]) -> None:
    """Does what tidies up after a failure, whose own message must not be hidden by a second one."""
    try:
        action()
    except AirflowRequestError:
        return
