"""Drivers that run on the cluster instead of beside Airflow: YARN and Kubernetes, with `deploy-mode` `cluster`.

Such a driver sees neither Airflow's environment nor, unless it is mounted there, the workspace; and it outlives an Airflow
that dies, which then finds it again by its identifier.
"""

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook

TOLD = (
    "ATOLL_HOME",
    "ATOLL_DAYS",
    "ATOLL_EXPERIMENTS",
    "ATOLL_ALLOWED_NETWORKS",
    "ATOLL_OPTUNA_STORAGE",
    "MLFLOW_TRACKING_URI",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
)
"""Variables that a driver on the cluster is told; they stand on spark-submit's command line, where others can read them."""

_RESOURCE_MANAGER = "yarn_resourcemanager_webapp_address"


def check_provider(host: str, conn_id: str) -> None:
    """Makes sure that Airflow knows the cluster of a connection; without it the provider of Spark fails on a name.

    Raises:
        AirflowFailException: It does not.
    """
    if host.startswith("k8s") and not importlib.util.find_spec("airflow.providers.cncf"):
        raise AirflowFailException(
            f"connection {conn_id!r}: {host} is Kubernetes; accepted: apache-airflow-providers-cncf-kubernetes, installed "
            "beside Airflow"
        )


def in_cluster_mode(hook: "SparkSubmitHook") -> bool:
    """Whether the driver is to run on the cluster."""
    return hook._connection["deploy_mode"] == "cluster"


def driver_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Chooses what a driver on the cluster is told of this process's environment.

    Raises:
        AirflowFailException: It would show a password to everyone.
    """
    told = {name: environment[name] for name in TOLD if environment.get(name)}
    for name, value in told.items():
        if urlsplit(value).password:
            raise AirflowFailException(
                f"{name}: holds a password, which spark-submit's command line would show; accepted with deploy-mode cluster: "
                "MLflow's server for MLFLOW_TRACKING_URI, nothing for ATOLL_OPTUNA_STORAGE (studies then lie in the workspace)"
            )
    return told


def follow_driver(hook: "SparkSubmitHook", conn_id: str) -> bool:
    """Lets the hook ask the cluster how the driver is, where the connection says whom to ask.

    Args:
        hook: Of a connection in cluster mode.
        conn_id: Its connection.

    Returns:
        Whether a retry finds a driver that still runs, or has ended well, instead of submitting another.

    Raises:
        AirflowFailException: No cluster of this kind runs a Python driver.
    """
    if hook._should_track_driver_status:
        raise AirflowFailException(
            f"connection {conn_id!r}: deploy-mode 'cluster', in which a standalone cluster runs no Python; accepted: 'client'"
        )
    if hook._is_yarn:
        extra = BaseHook.get_connection(conn_id).extra_dejson
        hook._yarn_track_via_rm_api = bool(extra.get(_RESOURCE_MANAGER))
        return hook._yarn_track_via_rm_api
    hook._track_driver_via_k8s_api = bool(hook._connection["namespace"])
    return hook._track_driver_via_k8s_api
