"""Airflow's LocalExecutor, without the one thing by which it ends all nights: a worker that is killed while it waits."""

from multiprocessing.queues import SimpleQueue
from multiprocessing.reduction import ForkingPickler
from typing import Any

from airflow.executors import local_executor


class UnheldQueue(SimpleQueue):  # type: ignore[type-arg]
    """A queue whose readers wait without its lock, and take it only to read what has come.

    A reader of `multiprocessing.SimpleQueue` holds the lock for as long as it waits, and a process that is killed gives back no
    lock, so the others would wait for ever beside a queue that fills. Here only a reader that is killed in the microseconds of
    its reading takes the lock with it.
    """

    def get(self) -> Any:
        """Waits for the next object, as long as it takes, and takes it out.

        Raises:
            EOFError: If nobody is left who could put one.
        """
        while True:
            self._reader.poll(None)
            with self._rlock:
                if not self._reader.poll(0):
                    continue  # another reader was faster
                message = self._reader.recv_bytes()
            return ForkingPickler.loads(message)


class LocalExecutor(local_executor.LocalExecutor):
    """Runs tasks beside the scheduler; whatever kills a worker, the others go on, and a new one takes its place.

    Named as Airflow's own, because Airflow knows local executors by that name. The setting is
    `AIRFLOW__CORE__EXECUTOR=atoll.executor.LocalExecutor` where Atoll's plugins are Airflow's. The stack on one machine, whose
    folder of plugins may be another, finds it below the repository as `plugins.atoll.executor.LocalExecutor`.
    """

    def _spawn_worker(self) -> None:
        """Starts a worker, which inherits the queue: so the queue must be ours before the first one is started."""
        self.activity_queue.__class__ = UnheldQueue
        super()._spawn_worker()
