"""Parameters that several DAGs share, as the trigger form shows them and as jobs and Spark are given them."""

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import Param

from atoll.notices import ChatNotifier
from jobs.experiment import experiment_names

AS_IN_THE_FILE = "file"
"""The choice of the form that leaves a setting to the experiment file."""

SPARK_POOL = os.environ.get("ATOLL_SPARK_POOL", "default_pool")
"""Pool of the tasks that use the cluster; with as many slots as it can run applications, two nights do not fight over it."""

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "atoll",
    "retries": 3,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=15),
    "on_failure_callback": [ChatNotifier()],
}
"""Of every task: it is tried again after 1, 2 and 4 minutes, takes up where it stopped, and people are told when it fails."""

CLUSTER_CONF = {
    "spark.executor.cores": "{{ params.executor_cores }}",
    "spark.executor.memory": "{{ params.executor_memory }}",
    "spark.executor.instances": "{{ params.executors }}",
    # A standalone cluster counts cores, not executors.
    "spark.cores.max": "{{ params.executors * params.executor_cores if params.executors and params.executor_cores else None }}",
}
"""Spark settings from `cluster_params`."""


def experiment_param(title: str, description: str, section: str | None = None) -> Param:
    """A drop-down of the experiments in the experiments folder."""
    names = experiment_names()
    default = "digits" if "digits" in names else (names or [""])[0]
    grouped = {"section": section} if section else {}
    return Param(default, type="string", enum=names or [""], title=title, description_md=description, **grouped)


def optional_number(kind: str, title: str, description: str, section: str, **limits: float) -> Param:
    """A field for a number that may be left empty; `kind` is `integer` or `number`."""
    return Param(None, type=["null", kind], title=title, description_md=description, section=section, **limits)


def cluster_params() -> dict[str, Param]:
    """Number, cores and memory of the executors; empty leaves them to the cluster's own settings."""
    return {
        "executors": optional_number(
            "integer",
            "Executors",
            "How many at most. On a standalone cluster give *Cores per executor* as well; a local master has one.",
            "Cluster",
            minimum=1,
            maximum=1000,
        ),
        "executor_cores": optional_number(
            "integer",
            "Cores per executor",
            "All of them go to **one trial at a time**. Needed on a cluster whose `spark-defaults.conf` does not set "
            "`spark.executor.cores`; not used by a local master.",
            "Cluster",
            minimum=1,
            maximum=1024,
        ),
        "executor_memory": Param(
            None,
            type=["null", "string"],
            pattern=r"^\d+[mgMG]$",
            title="Memory per executor",
            description_md="For the JVM alone, such as `2g`; TensorFlow's own memory (0.8 GB and up) comes on top.",
            section="Cluster",
        ),
    }
