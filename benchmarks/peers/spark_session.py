"""The Spark session of the peers that use one: two executors of one core, one task at a time on each, as Atoll has it."""

import os
import sys
from typing import Any

from benchmarks.peers.trials import Work


def open_session(work: Work) -> Any:
    """Opens a session on the cluster, whose executors run this environment's Python."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(work.master).appName("peer").config("spark.ui.enabled", "false")
    builder = builder.config("spark.executor.cores", "1").config("spark.task.cpus", "1")
    return builder.config("spark.executorEnv.PYTHONPATH", os.environ["PYTHONPATH"]).getOrCreate()
