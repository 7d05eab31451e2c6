"""Parameters that several DAGs share, as the trigger form shows them."""

from airflow.sdk import Param

from jobs.experiment import experiment_names

CLUSTER_CONF = {
    "spark.executor.cores": "{{ params.executor_cores }}",
    "spark.executor.memory": "{{ params.executor_memory }}",
}
"""Spark settings from `cluster_params`."""


def experiment_param(title: str, description: str) -> Param:
    """A drop-down of the experiments in the experiments folder."""
    names = experiment_names()
    default = "digits" if "digits" in names else (names or [""])[0]
    return Param(default, type="string", enum=names or [""], title=title, description_md=description)


def cluster_params() -> dict[str, Param]:
    """Cores and memory of each executor; empty leaves them to the cluster's own settings."""
    return {
        "executor_cores": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=1024,
            title="Cores per executor",
            description_md="All of them go to **one trial at a time**. Needed on a cluster whose "
            "`spark-defaults.conf` does not set `spark.executor.cores`; not used by a local master.",
            section="Cluster",
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
