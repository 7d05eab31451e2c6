"""Noticing that a cluster gives an application no executors any more, which Spark itself waits for without end."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobs.errors import SparkUnavailableError
from jobs.spark import EXECUTOR_WAIT, ExecutorLayout, executor_count, executor_wait

if TYPE_CHECKING:
    from pyspark import SparkContext

POLL = 1.0
"""Seconds after which executors that joined or left are counted again."""


class ExecutorWatch:
    """Counts the executors of an application, and ends its jobs where it has had none for as long as one waits for the first.

    So it goes where a standalone master was killed that has no `spark.deploy.recoveryMode`: it knows nothing of the
    application any more.
    """

    def __init__(self, context: "SparkContext", layout: ExecutorLayout) -> None:
        self._context = context
        self._layout = layout
        self._count, self._counted_at = 0, -math.inf
        self._none_since: float | None = None
        self._patience = executor_wait(context.getConf().get(EXECUTOR_WAIT))

    def count(self) -> int:
        """Gives the number of executors; they are counted once in `POLL` seconds.

        Raises:
            SparkUnavailableError: There has been none for too long; the jobs that waited for one are cancelled.
        """
        now = time.monotonic()
        if now - self._counted_at >= POLL:
            self._count, self._counted_at = executor_count(self._context, self._layout), now
            self._none_since = None if self._count else self._none_since or now
            if self._none_since and now - self._none_since > self._patience:
                self._context.cancelAllJobs()  # else their threads would wait for ever
                raise SparkUnavailableError(
                    f"{self._context.master} has given no executor for {self._patience:.0f} s ({EXECUTOR_WAIT}); what is "
                    "finished is kept: run it again"
                )
        return self._count


@contextmanager
def watched_executors(context: "SparkContext", layout: ExecutorLayout) -> Iterator[None]:
    """Watches from a thread of its own while the block waits for Spark jobs.

    Raises:
        SparkUnavailableError: They were cancelled, since there has been no executor for too long.
    """
    watch, over = ExecutorWatch(context, layout), threading.Event()
    told: list[SparkUnavailableError] = []

    def look() -> None:
        while not over.wait(POLL):
            try:
                watch.count()
                told.clear()  # they have come back, as with dynamic allocation
            except SparkUnavailableError as error:
                told[:] = [error]

    looker = threading.Thread(target=look, name="executors", daemon=True)
    looker.start()
    try:
        yield
    except Exception:
        over.set()
        looker.join()
        if told:
            raise told[0] from None
        raise
    finally:
        over.set()
        looker.join()
