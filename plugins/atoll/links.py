"""The buttons on a task's page: its MLflow run, its Spark UI, its report."""

import os
from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseOperatorLink


def mlflow_url() -> str | None:
    """Gives the address of MLflow's UI: `ATOLL_MLFLOW_URL`, else the tracking server where there is one."""
    address = os.environ.get("ATOLL_MLFLOW_URL") or os.environ.get("MLFLOW_TRACKING_URI", "")
    return address.rstrip("/") if address.startswith(("http://", "https://")) else None


def spark_link(announced: Mapping[str, str]) -> str | None:
    """Gives the page of the application in the history server of `ATOLL_SPARK_HISTORY_URL`, else its own UI while it runs."""
    history, application = os.environ.get("ATOLL_SPARK_HISTORY_URL"), announced.get("spark_application")
    if history and application:
        return f"{history.rstrip('/')}/history/{application}/"
    address = announced.get("spark_ui", "")
    return address if address.startswith("http") else None


def mlflow_link(announced: Mapping[str, str]) -> str | None:
    """Gives the page of the run in MLflow."""
    base, experiment, run = mlflow_url(), announced.get("mlflow_experiment"), announced.get("mlflow_run")
    return f"{base}/#/experiments/{experiment}/runs/{run}" if base and experiment and run else None


def report_link(announced: Mapping[str, str]) -> str | None:
    """Gives the study's report among the artifacts of its run in MLflow."""
    run = mlflow_link(announced)
    return f"{run}/artifacts/report/report.html" if run else None


class _AnnouncedLink(BaseOperatorLink):
    """A link that is made of what the task's job has announced."""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Gives the address, or nothing where the job has announced none."""
        return operator.announced_links().get(self.xcom_key) or ""


class SparkLink(_AnnouncedLink):
    """To the application in Spark."""

    name = "Spark"


class MlflowLink(_AnnouncedLink):
    """To the study's run in MLflow."""

    name = "MLflow run"


class ReportLink(_AnnouncedLink):
    """To the study's report."""

    name = "Report"


LINKS = (SparkLink(), MlflowLink(), ReportLink())


def links_from(announced: Mapping[str, str]) -> dict[str, str | None]:
    """Gives the address of each link, by the key of its XCom."""
    spark, mlflow, report = LINKS
    return {
        spark.xcom_key: spark_link(announced),
        mlflow.xcom_key: mlflow_link(announced),
        report.xcom_key: report_link(announced),
    }
