"""An experiment file is checked as a whole, and each mistake is told in one line that says what would be accepted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.datasets.sources import ImageFeaturesSource
from jobs.errors import InvalidExperimentError
from jobs.experiment import experiment_names, load_experiment
from jobs.workspace import REPOSITORY

VALID: dict[str, Any] = {
    "name": "mine",
    "dataset": {"source": "digits", "split": {"train": 0.6, "validation": 0.2, "test": 0.2}},
    "model": "mlp",
    "search": {"learning_rate": [0.001, 0.01], "neurons": {"low": 8, "high": 64, "log": True, "steps": 4}},
    "default": {"layers": 1, "neurons": 32, "learning_rate": 0.001, "batch_size": 32, "dropout": 0.0},
    "budget": {"epochs": 5},
}

Mistake = Callable[[str], str]


@pytest.fixture
def mistake(tmp_path: Path) -> Mistake:
    """Writes an experiment file, and gives the line in which it is refused, without the folder."""

    def refused(content: str) -> str:
        path = tmp_path / "mine.yaml"
        path.write_text(content)
        with pytest.raises(InvalidExperimentError) as told:
            load_experiment(path)
        assert "\n" not in str(told.value)
        return str(told.value).replace(f"{tmp_path}/", "")

    return refused


def changed(field: str, value: Any) -> str:
    """The valid experiment with one field set, or removed where the value is `...`, as YAML."""
    content = yaml.safe_load(yaml.safe_dump(VALID))
    *path, last = field.split(".")
    place = content
    for name in path:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return yaml.safe_dump(content)


@pytest.mark.parametrize("name", experiment_names())
def test_what_is_shipped_is_valid(name: str) -> None:
    assert load_experiment(REPOSITORY / "experiments" / f"{name}.yaml").name == name


def test_a_valid_experiment_says_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(VALID))
    experiment = load_experiment(path)
    assert (experiment.name, experiment.model, experiment.budget.epochs, experiment.seed) == ("mine", "mlp", 5, 0)
    assert experiment.search.neurons.grid() == [8, 16, 32, 64]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (
            "speed",
            "high",
            "mine.yaml: speed: unknown field; accepted: budget, code, dataset, default, early_stopping, ",
        ),
        ("dataset.speed", 1, "mine.yaml: dataset.speed: unknown field; accepted: seed, source, split"),
        (
            "default.speed",
            1,
            "mine.yaml: default.speed: unknown field; accepted: batch_normalization, batch_size, dropout, ",
        ),
        (
            "search.speed",
            [1],
            "mine.yaml: search.speed: unknown field; accepted: batch_normalization, batch_size, dropout, ",
        ),
        ("model", "rnn", "mine.yaml: model: 'rnn'; accepted: mlp, cnn, head, or a function of your own"),
        ("strategy", "luck", "mine.yaml: strategy: 'luck': input should be 'grid', 'sparse' or 'tpe'"),
        (
            "dataset.source",
            "cifar",
            "mine.yaml: dataset.source: 'cifar'; accepted: 'digits', 'mnist', 'image_folder', ",
        ),
        ("dataset.split.test", ..., "mine.yaml: dataset: split.test is missing"),
        ("dataset.split.train", 0.9, "mine.yaml: dataset.split: the shares sum to 1.3; accepted: at most 1"),
        ("dataset.split.train", 0, "mine.yaml: dataset.split.train: 0: input should be greater than 0"),
        ("dataset.seed", -1, "mine.yaml: dataset.seed: -1: input should be greater than or equal to 0"),
        ("default.learning_rate", 11, "mine.yaml: default.learning_rate: 11: input should be less than or equal to 10"),
        ("default.learning_rate", "fast", "mine.yaml: default.learning_rate: 'fast': "),
        ("default.dropout", 1, "mine.yaml: default.dropout: 1: input should be less than 1"),
        ("default.layers", -1, "mine.yaml: default.layers: -1: input should be greater than or equal to 0"),
        ("default.batch_size", 2.5, "mine.yaml: default.batch_size: 2.5: input should be a valid integer"),
        ("default.neurons", ..., "mine.yaml: default.neurons: missing"),
        ("budget.epochs", 0, "mine.yaml: budget.epochs: 0: input should be greater than or equal to 1"),
        ("budget", ..., "mine.yaml: budget: missing"),
        ("strategy", "tpe", "mine.yaml: budget.trials: missing; accepted for strategy tpe: how many points to try"),
        ("budget.trials", 9, "mine.yaml: budget.trials: 9 is not used by strategy grid; accepted: leave it out"),
        ("budget.minutes", 0, "mine.yaml: budget.minutes: 0: input should be greater than 0"),
        ("budget.target", 99.6, "mine.yaml: budget.target: 99.6: input should be less than or equal to 1"),
        ("early_stopping", {"first_rung": 5}, "early_stopping.first_rung: 5; accepted: below budget.epochs (5)"),
        ("early_stopping", {"reduction": 1}, "mine.yaml: early_stopping.reduction: 1: input should be greater"),
        ("early_stopping", {"eta": 3}, "early_stopping.eta: unknown field; accepted: first_rung, reduction"),
        ("search.learning_rate", [], "mine.yaml: search.learning_rate: []: "),
        ("search.learning_rate", [0.1, 0.1], "mine.yaml: search.learning_rate: [0.1, 0.1] repeats a value"),
        ("search.learning_rate", [0.1, -1], "mine.yaml: search.learning_rate.1: -1: input should be greater than 0"),
        (
            "search.learning_rate",
            {"low": 1, "high": 0.1, "steps": 3},
            "search.learning_rate: high (0.1) is below low (1)",
        ),
        (
            "search.dropout",
            {"low": 0, "high": 0.5, "log": True, "steps": 3},
            "search.dropout: low (0) has no logarithm",
        ),
        ("search.learning_rate", {"low": -1, "high": 1, "steps": 3}, "search.learning_rate.low: -1: input should be"),
        ("search.dropout", {"low": 0, "high": 1, "steps": 3}, "search.dropout.high: 1: input should be less than 1"),
        (
            "search.neurons",
            {"low": 0.5, "high": 4, "steps": 3},
            "search.neurons.low: 0.5: input should be a valid integer",
        ),
        ("search.neurons", {"low": 1, "high": 9}, "search.neurons: steps is missing; accepted for strategy grid: "),
        ("search.neurons", {"low": 1, "high": 9, "steps": 1}, "search.neurons.steps: 1: "),
        ("search.neurons", {"low": 1, "steps": 2}, "search.neurons.high: missing"),
        ("search.neurons", 5, "mine.yaml: search.neurons: 5; accepted: a list of values, or "),
        ("try_first", [{"speed": 1}], "mine.yaml: try_first.0.speed: unknown field; accepted: batch_normalization, "),
        ("try_first", [{"neurons": 8}, {"neurons": 0}], "mine.yaml: try_first.1.neurons: 0: "),
        ("try_first", 5, "mine.yaml: try_first: 5: "),
        ("name", "Mine!", "mine.yaml: name: 'Mine!': "),
        ("name", "other", "mine.yaml: name: 'other' differs from the file's; accepted: 'mine'"),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_what_is_accepted(
    mistake: Mistake, field: str, value: Any, said: str
) -> None:
    assert said in mistake(changed(field, value))


def test_a_test_share_that_mnist_would_not_use_is_refused(mistake: Mistake) -> None:
    dataset = {"source": "mnist", "split": {"train": 0.8, "validation": 0.1, "test": 0.1}}
    assert "split.test: 0.1 is not used; accepted: leave it out" in mistake(changed("dataset", dataset))


FEATURES: dict[str, Any] = VALID | {
    "dataset": {"source": "image_features", "folder": "../flowers", "graph": "net.pb", "tensor": "pool:0"},
    "model": "head",
    "default": {"layers": 0, "learning_rate": 0.001, "batch_size": 32, "dropout": 0.0},
}


def test_features_are_of_a_folder_and_a_graph_beside_the_experiment_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(FEATURES))
    source = load_experiment(path).dataset
    assert isinstance(source, ImageFeaturesSource)
    assert (source.folder, source.graph) == (tmp_path.parent / "flowers", tmp_path / "net.pb")
    registered = {"source": "image_features", "folder": "/data", "model": "nets", "model_version": 3, "tensor": "pool"}
    path.write_text(yaml.safe_dump(FEATURES | {"dataset": registered}))
    source = load_experiment(path).dataset
    assert isinstance(source, ImageFeaturesSource)
    assert (source.graph, source.model, source.model_version) == (None, "nets", 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"model": "cnn", "default": VALID["default"]},
            "mine.yaml: model: 'cnn' learns from pixels, and dataset.source image_features gives features; accepted",
        ),
        (
            {"model": "mine:build"},
            "mine.yaml: model: 'mine:build' learns from pixels, and dataset.source image_features gives features; accepted",
        ),
        (
            {"dataset": VALID["dataset"]},
            "mine.yaml: model: 'head' learns from features, and dataset.source digits gives pixels; accepted: mlp, cnn or",
        ),
        ({"dataset": {"graph": ...}}, "mine.yaml: dataset: graph or model: missing; accepted: a file, or the name of"),
        ({"dataset": {"model": "nets"}}, "mine.yaml: dataset: graph or model: both given; accepted: a file, or"),
        ({"dataset": {"model_version": 2}}, "mine.yaml: dataset: model_version: 2 is not used with graph; accepted: "),
        ({"dataset": {"tensor": ...}}, "mine.yaml: dataset.tensor: missing"),
        ({"dataset": {"tensor": ""}}, "mine.yaml: dataset.tensor: '': string should have at least 1 character"),
        ({"dataset": {"pixel_range": [1, 1]}}, "mine.yaml: dataset: pixel_range: [1.0, 1.0]; accepted: two different"),
        (
            {"dataset": {"image_size": [8, 8]}},
            "mine.yaml: dataset.image_size: unknown field; accepted: folder, graph, ",
        ),
        ({"dataset": {"split": {"train": 0.5, "validation": 0.2}}}, "mine.yaml: dataset: split.test is missing"),
        ({"default": {"layers": ...}}, "mine.yaml: default.layers: missing"),
        (
            {"default": {"shift": 0.1}},
            "mine.yaml: default.shift: not used by model head; accepted: batch_normalization, ",
        ),
        ({"search": {"filters": [8]}}, "mine.yaml: search.filters: not used by model head; accepted: "),
    ],
)
def test_what_a_head_cannot_learn_from_is_refused(mistake: Mistake, changes: dict[str, Any], said: str) -> None:
    content = yaml.safe_load(yaml.safe_dump(FEATURES))
    for field, value in changes.items():
        merged = content[field] | value if isinstance(value, dict) and "source" not in value else value
        is_section = isinstance(merged, dict)
        content[field] = {name: one for name, one in merged.items() if one is not ...} if is_section else merged
    assert said in mistake(yaml.safe_dump(content))


def test_all_mistakes_are_told_at_once(mistake: Mistake) -> None:
    told = mistake(changed("default", VALID["default"] | {"layers": -1, "dropout": 7}))
    assert "default.layers: -1" in told
    assert "default.dropout: 7" in told


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "mine.yaml: holds None; accepted: fields such as name"),
        ("- a\n- b\n", "mine.yaml: holds ['a', 'b']; accepted: fields"),
        ("name: [", "mine.yaml: not a YAML file: "),
        ("name: one\nname: two\n", "'name' is given twice"),
        ("budget: {epochs: 1, epochs: 2}", "'epochs' is given twice"),
        (
            "name: !!python/object/apply:os.system [true]",
            "mine.yaml: not a YAML file: could not determine a constructor",
        ),
    ],
    ids=["empty", "a list", "broken", "a key twice", "an inner key twice", "code"],
)
def test_what_is_not_an_experiment_is_refused(mistake: Mistake, content: str, said: str) -> None:
    assert said in mistake(content)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"name: caf\xe9")
    with pytest.raises(InvalidExperimentError, match="not a YAML file: 'utf-8' codec"):
        load_experiment(path)


def test_a_missing_file_names_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").touch()
    with pytest.raises(
        InvalidExperimentError, match=r"nosuch\.yaml: no such experiment file; accepted: .*digits\.yaml"
    ):
        load_experiment(tmp_path / "nosuch.yaml")
    with pytest.raises(InvalidExperimentError, match="not a YAML file"):
        load_experiment(tmp_path)


def test_the_folder_of_experiments_may_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b.yaml").touch()
    (tmp_path / "a.yaml").touch()
    (tmp_path / "notes.txt").touch()
    monkeypatch.setenv("ATOLL_EXPERIMENTS", str(tmp_path))
    assert experiment_names() == ["a", "b"]
