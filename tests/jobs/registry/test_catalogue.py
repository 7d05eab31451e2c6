"""The catalogue of the registry: versions with where they come from, who is champion, and the gate's decision."""

from pathlib import Path

import pytest

from jobs.errors import ModelNotFoundError
from jobs.registry.catalogue import registered_model, registered_models
from jobs.registry.champions import set_champion
from jobs.registry.gate import DECISION_TAG, GateRule, gate
from jobs.registry.mlflow_client import open_client
from jobs.registry.versions import ModelVersion, register
from jobs.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("catalogue"))


def select(workspace: Workspace, model: str, folder: Path, errors: int) -> ModelVersion:
    folder.mkdir(exist_ok=True)
    (folder / "graph.pb").write_bytes(b"graph")
    (folder / "labels.txt").write_text("a\n")
    metrics = {"test_accuracy": 1 - errors / 100, "test_errors": float(errors)}
    return register(model, f"{model}-{errors}", "fingerprint", folder, metrics, workspace)


def test_an_empty_registry_has_no_models(tmp_path: Path) -> None:
    assert registered_models(Workspace(tmp_path)) == []


def test_a_model_has_its_versions_the_newest_first_with_where_they_come_from(
    workspace: Workspace, tmp_path: Path
) -> None:
    first, second = (select(workspace, "owls", tmp_path / "model", errors) for errors in (9, 4))
    set_champion(first, workspace, "ada", "the first")
    model = registered_model("owls", workspace)
    assert [version.version for version in model.versions] == [2, 1]
    assert model.champion == model.version(1)
    newest = model.version(2)
    assert (newest.study, newest.dataset_fingerprint, newest.champion) == ("owls-4", "fingerprint", False)
    assert newest.graph_sha256 == second.graph_sha256
    assert newest.test_error == pytest.approx(0.04)
    assert newest.default_test_error is None
    with pytest.raises(ModelNotFoundError, match="no version 7; accepted: 1, 2"):
        model.version(7)


def test_a_version_carries_what_the_gate_decided_about_it(workspace: Workspace, tmp_path: Path) -> None:
    version = select(workspace, "crows", tmp_path / "model", 3)
    assert registered_model("crows", workspace).version(1).decision is None
    decision = gate("crows", version.version, workspace, GateRule())
    assert registered_model("crows", workspace).version(1).decision == decision


def test_a_spoilt_decision_hides_no_model(workspace: Workspace, tmp_path: Path) -> None:
    select(workspace, "larks", tmp_path / "model", 3)
    open_client(workspace).set_model_version_tag("larks", "1", DECISION_TAG, "{")
    assert registered_model("larks", workspace).version(1).decision is None


def test_an_unknown_model_is_told_with_those_that_are_known(workspace: Workspace, tmp_path: Path) -> None:
    select(workspace, "owls", tmp_path / "model", 1)
    with pytest.raises(ModelNotFoundError, match=r"model 'swans': no such model; accepted: .*owls"):
        registered_model("swans", workspace)
