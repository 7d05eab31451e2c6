"""Ending a driver whose Airflow has died, so that none goes on unseen while the task is run a second time.

Between Airflow's task and the driver stands spark-submit's JVM, which outlives the task when that is killed: the driver itself
must look further up.
"""

import os
import select
import signal
import sys
import threading
from collections.abc import Sequence

ENDS_WITH = "ATOLL_ENDS_WITH"
"""Environment variable with the numbers of the processes, separated by spaces, without any of which the driver ends."""


def end_with_ancestors() -> None:
    """Ends this process by SIGTERM as soon as one of the processes of `ENDS_WITH` is gone, or is no ancestor of it any more.

    Does nothing where the variable is not set, or where the system has no descriptors of processes (Linux has, from 5.3 on).
    """
    numbers = [int(number) for number in os.environ.get(ENDS_WITH, "").split()]
    if not numbers or not sys.platform.startswith("linux"):
        return
    try:
        watched = [os.pidfd_open(number) for number in numbers]
    except ProcessLookupError:
        return _end()
    except OSError:
        return
    if not set(numbers) <= _ancestors():  # their numbers have gone to others
        return _end()
    threading.Thread(target=_watch, args=(watched,), name="ends-with", daemon=True).start()


def _ancestors() -> set[int]:
    import psutil

    return {process.pid for process in psutil.Process().parents()}


def _watch(descriptors: Sequence[int]) -> None:
    select.select(descriptors, [], [])  # a descriptor becomes readable when its process ends
    _end()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
