"""MLflow's client, set up for a workspace."""

import os
from typing import TYPE_CHECKING

from jobs.errors import ServiceUnavailableError
from jobs.printing import redacted
from jobs.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Both must be set before mlflow is imported. Nothing that Atoll runs reports its use to anyone.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")

_SHOWN_AS_TRAINING = {"mlflow.experimentKind": "custom_model_development"}
"""Without it MLflow's UI opens an experiment on pages about chat traces instead of on its runs."""


def open_client(workspace: Workspace) -> "MlflowClient":
    """Opens MLflow at `MLFLOW_TRACKING_URI` (a server or a database), else in an SQLite file in the workspace.

    Raises:
        ServiceUnavailableError: It cannot be reached.
    """
    import mlflow
    import requests
    import sqlalchemy
    from mlflow.exceptions import MlflowException

    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        workspace.artifacts.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{workspace.artifacts / 'mlflow.db'}"
    try:
        client = mlflow.MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError, requests.RequestException, ModuleNotFoundError) as error:
        reason = redacted(str(error)).splitlines()[0]
        raise ServiceUnavailableError(
            f"MLFLOW_TRACKING_URI: {reason}; accepted: a server or a database that answers"
        ) from None
    return client


def experiment_id(client: "MlflowClient", workspace: Workspace, name: str) -> str:
    """Gives MLflow's identifier of an experiment, making the experiment when it is new.

    Where MLflow has a server, the server decides where artifacts lie; else they lie in the workspace.
    """
    from mlflow.exceptions import MlflowException

    known = client.get_experiment_by_name(name)
    if known is None:
        served = client.tracking_uri.startswith(("http:", "https:", "databricks"))
        location = None if served else (workspace.artifacts / "artifacts" / name).as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=location, tags=_SHOWN_AS_TRAINING))
        except MlflowException:  # another driver made it in between
            known = client.get_experiment_by_name(name)
            if known is None:
                raise
    return str(known.experiment_id)
