"""Versions of a model in MLflow's registry: finding one, and fetching its frozen graph."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.errors import InvalidGraphError, ModelNotFoundError
from jobs.registry.mlflow_client import experiment_id, open_client
from jobs.registry.tracking import DATASET_TAG, STUDY_TAG, study_run
from jobs.workspace import Workspace

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowModelVersion

CHAMPION = "champion"
"""Alias of the version that labels images unless another is asked for."""

GRAPH_FILE, LABELS_FILE = "graph.pb", "labels.txt"

GRAPH_TAG, LABELS_TAG = "atoll.graph_sha256", "atoll.labels_sha256"

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model.

    Attributes:
        name: Name of the model.
        version: Number of the version, from 1.
        graph_sha256: Checksum of its frozen graph.
        dataset_fingerprint: The data set that it was trained and tested on.
        study: The study that it was selected from.
        labels_sha256: Checksum of the names of its classes; empty for a version that was registered without one.
    """

    name: str
    version: int
    graph_sha256: str
    dataset_fingerprint: str
    study: str
    labels_sha256: str = ""


@dataclass(frozen=True)
class GraphFiles:
    """A frozen graph on the local disk.

    Attributes:
        graph: The serialised GraphDef.
        labels: One class name per line, in the order of the graph's outputs.
    """

    graph: Path
    labels: Path


def find_version(name: str, version: int | None = None, workspace: Workspace | None = None) -> ModelVersion:
    """Finds a version of a model.

    Args:
        name: Name of the model.
        version: Number of the version; None for the champion.
        workspace: Where the registry lies when `MLFLOW_TRACKING_URI` is not set.

    Raises:
        ModelNotFoundError: There is no such model or version, or the model has no champion.
    """
    from mlflow.exceptions import MlflowException

    client = open_client(workspace or Workspace.open())
    if not _REFERENCE.fullmatch(name):
        raise ModelNotFoundError(f"model {name!r}: no such model; accepted: letters, digits and . _ -")
    try:
        if version is None:
            return describe(client.get_model_version_by_alias(name, CHAMPION))
        return describe(client.get_model_version(name, str(version)))
    except MlflowException:
        versions = sorted(int(known.version) for known in client.search_model_versions(f"name = '{name}'"))
        models = sorted(model.name for model in client.search_registered_models())
    if not versions:
        raise ModelNotFoundError(
            f"model {name!r}: no such model; accepted: {', '.join(models) or 'none is registered yet'}"
        )
    asked = "it has no champion" if version is None else f"no version {version}"
    raise ModelNotFoundError(f"model {name!r}: {asked}; accepted: version {', '.join(map(str, versions))}")


def find_champion(name: str, workspace: Workspace) -> ModelVersion | None:
    """Finds the champion of a model; None when it has none."""
    try:
        return find_version(name, None, workspace)
    except ModelNotFoundError:
        return None


def find_registered(name: str, study: str, workspace: Workspace) -> ModelVersion | None:
    """Finds the version that was registered from a study; None when there is none."""
    client = open_client(workspace)
    found = client.search_model_versions(f"name = '{name}' and tags.`{STUDY_TAG}` = '{study}'")
    return describe(found[0]) if found else None


def register(
    name: str, study: str, dataset_fingerprint: str, folder: Path, metrics: Mapping[str, float], workspace: Workspace
) -> ModelVersion:
    """Registers the files in `folder` as a new version of a model.

    Args:
        name: Name of the model; made when it is new.
        study: The study that it comes from, under whose run its files and metrics are logged.
        dataset_fingerprint: The data set that it was trained and tested on.
        folder: Holds `graph.pb`, `labels.txt` and the record of the final test.
        metrics: What to log with it.
        workspace: Where the registry lies when it has no server.
    """
    from mlflow.exceptions import MlflowException

    client = open_client(workspace)
    run = study_run(client, experiment_id(client, workspace, name), study, dataset_fingerprint)
    for key, value in metrics.items():
        client.log_metric(run, key, value)
    client.log_artifacts(run, str(folder), "model")
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = {
        GRAPH_TAG: _sha256(folder / GRAPH_FILE),
        LABELS_TAG: _sha256(folder / LABELS_FILE),
        DATASET_TAG: dataset_fingerprint,
        STUDY_TAG: study,
    }
    tags |= {f"atoll.{key}": f"{value:.6g}" for key, value in metrics.items()}
    return describe(client.create_model_version(name, f"runs:/{run}/model", run, tags))


def download_model(version: ModelVersion, folder: Path, workspace: Workspace) -> Path:
    """Fetches all files of a version and gives the folder that holds them.

    Raises:
        InvalidGraphError: They cannot be fetched.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    client = open_client(workspace)
    source = client.get_model_version_download_uri(version.name, str(version.version))
    try:
        return Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=source, dst_path=str(folder), tracking_uri=client.tracking_uri
            )
        )
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidGraphError(
            f"model {version.name} version {version.version}: {reason}; accepted: reachable files"
        ) from None


def download_graph(version: ModelVersion, folder: Path, workspace: Workspace | None = None) -> GraphFiles:
    """Fetches the frozen graph of a version and its labels into `folder` and checks both.

    Raises:
        InvalidGraphError: A file is missing, or its checksum is not the registered one.
    """
    files = download_model(version, folder, workspace or Workspace.open())
    graph, labels = files / GRAPH_FILE, files / LABELS_FILE
    for file, registered in ((graph, version.graph_sha256), (labels, version.labels_sha256)):
        found = _sha256(file) if file.is_file() else "missing"
        if found != (registered or found) or found == "missing":
            raise InvalidGraphError(
                f"model {version.name} version {version.version}: sha256 of {file.name}: {found}; accepted: "
                f"{registered or 'any'}, as it was registered"
            )
    return GraphFiles(graph, labels)


def describe(version: "MlflowModelVersion") -> ModelVersion:
    """Reads Atoll's record of a version from its tags.

    Raises:
        ModelNotFoundError: The version was registered by something other than Atoll.
    """
    tags = version.tags
    if GRAPH_TAG not in tags:
        raise ModelNotFoundError(
            f"model {version.name} version {version.version}: has no tag {GRAPH_TAG}; accepted: Atoll's own"
        )
    return ModelVersion(
        version.name,
        int(version.version),
        tags[GRAPH_TAG],
        tags.get(DATASET_TAG, ""),
        tags.get(STUDY_TAG, ""),
        tags.get(LABELS_TAG, ""),
    )


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
