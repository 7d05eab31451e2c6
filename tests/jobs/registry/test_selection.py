"""Selection and promotion on a real study, with MLflow's registry in a database file."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs.datasets import dataset as datasets
from jobs.datasets.prepare import prepare
from jobs.errors import InvalidGraphError, InvalidStudyError, ModelNotFoundError
from jobs.experiment import Experiment
from jobs.models.training import Samples
from jobs.registry import final_test
from jobs.registry.gate import GateRule, gate
from jobs.registry.promotion import promote
from jobs.registry.selection import select
from jobs.registry.versions import download_graph, find_version
from jobs.results import Promotion, SelectedModel
from jobs.tuning.leaderboard import Leaderboard
from jobs.tuning.trial import ModelDescription, TrialSpecification, run_trial
from jobs.workspace import Workspace


def experiment(epochs: int, seed: int) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "small",
            "dataset": {"source": "digits", "seed": seed},
            "model": "mlp",
            "search": {"learning_rate": [0.0001, 0.003]},
            "default": {"layers": 1, "neurons": 32, "learning_rate": 0.0001, "batch_size": 32, "dropout": 0.0},
            "budget": {"epochs": epochs},
        }
    )


def run_study(workspace: Workspace, name: str, epochs: int, seed: int = 1) -> None:
    """Trains both points of the grid in this process and leaves what `tune_model` leaves."""
    asked = experiment(epochs, seed)
    prepared = prepare(asked, workspace)
    folder = workspace.study(name)
    description = ModelDescription("mlp", prepared.image_shape, 10, epochs, 0, folder)
    train, validation = (
        Samples(*datasets.read_split(Path(prepared.folder), split)) for split in ("train", "validation")
    )
    trials = [
        run_trial(TrialSpecification(number, point, 0, epochs), description, train, validation, 2, "0@here")
        for number, point in enumerate(asked.search.grid(asked.default))
    ]
    Leaderboard(
        study=name, experiment=asked, dataset=prepared.folder, dataset_fingerprint=prepared.fingerprint, trials=trials
    ).write(folder)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def selected(workspace: Workspace) -> SelectedModel:
    run_study(workspace, "first", epochs=3)
    return select("first", workspace)


def test_the_winner_is_the_best_on_validation_and_both_are_tested(
    selected: SelectedModel, workspace: Workspace
) -> None:
    board = Leaderboard.model_validate_json((workspace.study("first") / "leaderboard.json").read_text())
    best, default = board.best(), board.default()
    assert best
    assert default
    assert (selected.winner.trial, selected.default and selected.default.trial) == (best.number, default.number)
    assert selected.winner.correct + selected.winner.errors == selected.test_images == 270
    assert selected.default
    assert selected.errors_avoided == pytest.approx(1 - selected.winner.errors / selected.default.errors)


def test_the_test_accuracy_is_that_of_the_frozen_graph_on_encoded_images(
    selected: SelectedModel, workspace: Workspace
) -> None:
    import tensorflow as tf

    board = Leaderboard.model_validate_json((workspace.study("first") / "leaderboard.json").read_text())
    images, labels = datasets.read_split(Path(board.dataset), "test")
    graph = tf.compat.v1.GraphDef.FromString(Path(selected.graph).read_bytes())
    correct = 0
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph, name="")
        for image, label in zip(images, labels, strict=True):
            encoded = io.BytesIO()
            Image.fromarray(image[:, :, 0]).save(encoded, "PNG")
            scores = session.run("softmax:0", {"DecodeJpeg/contents:0": encoded.getvalue()})
            assert scores.shape == (1, 10)
            assert np.sum(scores) == pytest.approx(1, abs=1e-5)
            correct += int(scores.argmax()) == label
    assert correct == selected.winner.correct


def test_the_version_says_where_it_comes_from(selected: SelectedModel, workspace: Workspace) -> None:
    version = find_version("small", selected.model_version, workspace)
    assert version.study == "first"
    assert version.dataset_fingerprint == selected.dataset_fingerprint
    assert (
        version.graph_sha256 == selected.graph_sha256 == hashlib.sha256(Path(selected.graph).read_bytes()).hexdigest()
    )


def test_selecting_again_reads_the_test_split_no_second_time_and_registers_nothing(
    selected: SelectedModel, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("the test split was read a second time")

    monkeypatch.setattr(final_test, "read_split", forbidden)
    assert select("first", workspace) == selected


def test_the_record_of_the_final_test_is_kept_with_the_version(
    selected: SelectedModel, workspace: Workspace, tmp_path: Path
) -> None:
    files = download_graph(find_version("small", selected.model_version, workspace), tmp_path, workspace)
    record = json.loads(files.graph.with_name("final_test.json").read_text())
    right = sum(label == given for label, given in zip(record["labels"], record["winner"], strict=True))
    assert right == selected.winner.correct
    assert files.labels.read_text().split() == [str(digit) for digit in range(10)]


@pytest.mark.parametrize(("name", "checksum"), [("graph.pb", "graph_sha256"), ("labels.txt", "labels_sha256")])
def test_a_graph_or_labels_that_were_changed_after_they_were_registered_are_refused(
    selected: SelectedModel, workspace: Workspace, tmp_path: Path, name: str, checksum: str
) -> None:
    version = find_version("small", selected.model_version, workspace)
    stored = next((workspace.artifacts / "artifacts").rglob(name))
    content = stored.read_bytes()
    stored.write_bytes(content[::-1])
    try:
        with pytest.raises(InvalidGraphError, match=f"{name}: .*; accepted: {getattr(version, checksum)}"):
            download_graph(version, tmp_path, workspace)
    finally:
        stored.write_bytes(content)


def through_the_gate(version: int, workspace: Workspace) -> Promotion:
    return promote(gate("small", version, workspace, GateRule()), workspace, "night")


def test_the_first_version_is_promoted_and_an_equal_one_is_not(selected: SelectedModel, workspace: Workspace) -> None:
    with pytest.raises(ModelNotFoundError, match="it has no champion; accepted: version 1"):
        find_version("small", None, workspace)
    first = through_the_gate(selected.model_version, workspace)
    assert (first.promoted, first.champion_version, first.previous_version) == (True, 1, None)
    assert find_version("small", None, workspace).version == 1

    run_study(workspace, "second", epochs=3)
    equal = select("second", workspace)
    stays = through_the_gate(equal.model_version, workspace)
    assert (stays.promoted, stays.champion_version) == (False, 1)
    assert find_version("small", None, workspace).version == 1

    run_study(workspace, "third", epochs=25)
    better = select("third", workspace)
    takes_over = through_the_gate(better.model_version, workspace)
    assert (takes_over.promoted, takes_over.champion_version, takes_over.previous_version) == (True, 3, 1)
    assert find_version("small", None, workspace).version == 3

    late = gate("small", equal.model_version, workspace, GateRule())
    assert late.test, "a champion that came later labels the same test images"
    assert (late.champion_version, late.passed) == (3, False)
    assert late.test.champion_correct == better.winner.correct
    assert late.test.challenger_correct == equal.winner.correct


def test_a_champion_of_another_data_set_is_tested_on_the_challengers_test_split(
    selected: SelectedModel, workspace: Workspace
) -> None:
    champion = find_version("small", None, workspace)
    run_study(workspace, "other-split", epochs=3, seed=2)
    challenger = select("other-split", workspace)
    assert challenger.dataset_fingerprint != champion.dataset_fingerprint
    decision = gate("small", challenger.model_version, workspace, GateRule())
    assert decision.test
    assert decision.champion_version == champion.version
    graph = (workspace.study(champion.study) / "model" / "graph.pb").read_bytes()
    board = Leaderboard.model_validate_json((workspace.study("other-split") / "leaderboard.json").read_text())
    images, labels = datasets.read_split(Path(board.dataset), "test")
    given = final_test.classify(graph, list(final_test.encode_images(images)))
    assert decision.test.champion_correct == int((given == labels).sum())


def test_a_model_or_version_that_is_not_there_is_named(selected: SelectedModel, workspace: Workspace) -> None:
    with pytest.raises(ModelNotFoundError, match="'other': no such model; accepted: small"):
        find_version("other", None, workspace)
    with pytest.raises(ModelNotFoundError, match="no version 99; accepted: version 1"):
        find_version("small", 99, workspace)


def test_a_study_whose_trials_all_failed_is_refused(workspace: Workspace) -> None:
    run_study(workspace, "hopeless", epochs=1)
    path = workspace.study("hopeless") / "leaderboard.json"
    board = Leaderboard.model_validate_json(path.read_text())
    failed = [trial.model_copy(update={"state": "failed", "validation_accuracy": None}) for trial in board.trials]
    board.model_copy(update={"trials": failed}).write(path.parent)
    with pytest.raises(InvalidStudyError, match="hopeless: no trial is complete"):
        select("hopeless", workspace)
