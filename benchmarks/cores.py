"""Executors that have the core that they were given, and no other."""

import os

import psutil

from tests.standalone_cluster import Cluster


def hold_workers_to_cores(cluster: Cluster) -> None:
    """Lets each worker of a cluster, and the executors that it will start, run on one core of its own alone.

    Spark counts cores and holds nobody to them. So the threads that an executor has beside those that compute would use a core
    that nobody has given it, and one executor alone would look faster than it is.

    Raises:
        SystemExit: There are fewer cores than workers.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cluster.workers) > len(cores):
        raise SystemExit(f"{len(cluster.workers)} workers need as many cores; this machine has {len(cores)}")
    for worker, core in zip(cluster.workers, cores, strict=False):
        for thread in psutil.Process(worker.pid).threads():  # what it starts inherits the core from one of them
            os.sched_setaffinity(thread.id, {core})
