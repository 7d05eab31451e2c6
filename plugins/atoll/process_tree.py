"""Ending all that a process has started, so that a task that is killed leaves nothing at work."""

import contextlib
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psutil import Process

GRACE = 3.0
"""Seconds that a child has to remove its files; with `PATIENCE` less than the five after which Airflow kills the task."""

PATIENCE = 1.5
"""Seconds that any other process has to end by itself before it is made to."""


def descendants(pid: int) -> list["Process"]:
    """Gives all processes that descend from one; none when it is gone. To be taken while the parents still live."""
    import psutil

    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def ask(child: subprocess.Popen[str], tree: list["Process"]) -> None:
    """Asks a child and all that descends from it to end, and waits for the child: a JVM then removes its files."""
    import psutil

    for process in (child, *tree):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE)


def end(tree: list["Process"]) -> int:
    """Asks the processes to end, and makes those that do not.

    Args:
        tree: None of them a child of this process: its parent must learn how it ended.

    Returns:
        How many had to be made to.
    """
    import psutil

    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(tree, timeout=PATIENCE)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=PATIENCE)
    return len(left)
