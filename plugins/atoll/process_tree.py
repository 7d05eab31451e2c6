"""Ending all that a process has started, so that a task that is killed leaves nothing at work."""

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psutil import Process

PATIENCE = 5.0
"""Seconds that a process has to end by itself before it is made to."""


def descendants(pid: int) -> list["Process"]:
    """Gives all processes that descend from one; none when it is gone. To be taken while the parents still live."""
    import psutil

    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


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
