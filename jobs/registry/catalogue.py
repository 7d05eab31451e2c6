"""What the registry knows of its models: their versions, where each comes from, and what the gate decided."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from jobs.errors import ModelNotFoundError
from jobs.registry.gate import DECISION_TAG
from jobs.registry.mlflow_client import open_client
from jobs.registry.tracking import DATASET_TAG, STUDY_TAG
from jobs.registry.versions import CHAMPION, GRAPH_TAG
from jobs.results import GateDecision
from jobs.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as MlflowModelVersion

log = logging.getLogger("atoll")

_METRICS = ("test_accuracy", "test_errors", "default_test_accuracy", "default_test_errors")


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a model, with where it comes from.

    Attributes:
        name: Name of the model.
        version: Number of the version, from 1.
        registered_at: When it was registered.
        study: The study that it was selected from.
        dataset_fingerprint: The data set that it was trained and tested on.
        graph_sha256: Checksum of its frozen graph.
        run: MLflow's identifier of the study's run.
        metrics: Of the final test, by name: `test_accuracy` and so on; shares of 1, counts of images.
        champion: Whether it is the champion now.
        decision: What the gate decided about it last; None where it never came to the gate.
    """

    name: str
    version: int
    registered_at: datetime
    study: str
    dataset_fingerprint: str
    graph_sha256: str
    run: str
    metrics: dict[str, float]
    champion: bool
    decision: GateDecision | None = None

    @property
    def test_error(self) -> float | None:
        """Share of the test images that it gets wrong; None where it was not tested."""
        accuracy = self.metrics.get("test_accuracy")
        return None if accuracy is None else 1 - accuracy

    @property
    def default_test_error(self) -> float | None:
        """The same for the default hyperparameters of its study."""
        accuracy = self.metrics.get("default_test_accuracy")
        return None if accuracy is None else 1 - accuracy


@dataclass(frozen=True)
class RegisteredModel:
    """A model with all of its versions.

    Attributes:
        name: Name of the model.
        versions: The newest first.
    """

    name: str
    versions: tuple[RegisteredVersion, ...]

    @property
    def champion(self) -> RegisteredVersion | None:
        """The version that labels images unless another is asked for."""
        return next((version for version in self.versions if version.champion), None)

    def version(self, number: int) -> RegisteredVersion:
        """Gives one version.

        Raises:
            ModelNotFoundError: There is none of this number.
        """
        for version in self.versions:
            if version.version == number:
                return version
        known = ", ".join(str(version.version) for version in reversed(self.versions))
        raise ModelNotFoundError(f"model {self.name!r}: no version {number}; accepted: {known or 'none yet'}")


def registered_models(workspace: Workspace) -> list[RegisteredModel]:
    """Gives every model of the registry that Atoll has registered, by name.

    Raises:
        ServiceUnavailableError: MLflow cannot be reached.
    """
    client = open_client(workspace)
    known = {model.name: model for model in client.search_registered_models(max_results=1000)}
    found: dict[str, list[RegisteredVersion]] = {}
    for one in _versions(client):
        if GRAPH_TAG in one.tags and one.name in known:
            found.setdefault(one.name, []).append(_describe(one, known[one.name].aliases.get(CHAMPION)))
    return [
        RegisteredModel(name, tuple(sorted(versions, key=lambda version: -version.version)))
        for name, versions in sorted(found.items())
    ]


def registered_model(name: str, workspace: Workspace) -> RegisteredModel:
    """Gives one model.

    Raises:
        ModelNotFoundError: The registry has none of this name.
        ServiceUnavailableError: MLflow cannot be reached.
    """
    models = registered_models(workspace)
    for model in models:
        if model.name == name:
            return model
    known = ", ".join(model.name for model in models)
    raise ModelNotFoundError(f"model {name!r}: no such model; accepted: {known or 'none is registered yet'}")


def _versions(client: "MlflowClient") -> "Iterator[MlflowModelVersion]":
    token = None
    while True:
        found = client.search_model_versions(max_results=10_000, page_token=token)
        yield from found
        token = found.token
        if not token:
            return


def _decision(version: "MlflowModelVersion") -> GateDecision | None:
    """Reads what the gate decided; a record that somebody has spoilt counts as none."""
    text = version.tags.get(DECISION_TAG)
    if text is None:
        return None
    try:
        return GateDecision.model_validate_json(text)
    except ValidationError as error:
        log.warning(
            "model %s version %s: tag %s: %s", version.name, version.version, DECISION_TAG, error.errors()[0]["msg"]
        )
        return None


def _describe(version: "MlflowModelVersion", champion: str | int | None) -> RegisteredVersion:
    tags = version.tags
    return RegisteredVersion(
        name=version.name,
        version=int(version.version),
        registered_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        study=tags.get(STUDY_TAG, ""),
        dataset_fingerprint=tags.get(DATASET_TAG, ""),
        graph_sha256=tags[GRAPH_TAG],
        run=version.run_id or "",
        metrics={name: float(tags[f"atoll.{name}"]) for name in _METRICS if f"atoll.{name}" in tags},
        champion=str(champion) == str(version.version),
        decision=_decision(version),
    )
