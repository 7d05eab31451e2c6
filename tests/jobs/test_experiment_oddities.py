"""What a hurried or unlucky hand puts into an experiment file is told in one line too, with the field as it was written."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.errors import InvalidExperimentError
from jobs.experiment import Experiment, load_experiment
from jobs.workspace import REPOSITORY

DIGITS = (REPOSITORY / "experiments" / "digits.yaml").read_text()
SCHEMA = yaml.safe_load(DIGITS)


def refused(folder: Path, content: str) -> str:
    """The line in which a file with this content is refused, without its folder."""
    path = folder / "digits.yaml"
    path.write_text(content)
    with pytest.raises(InvalidExperimentError) as told:
        load_experiment(path)
    line = str(told.value).replace(f"{folder}/", "")
    assert line.startswith("digits.yaml: ")
    assert len(line.splitlines()) == 1
    return line


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("? [a, b]\n: 1\n", "not a YAML file: while constructing a mapping"),
        ("? {a: b}\n: 1\n", "found unhashable key"),
        ("night: 2026-13-41\n", "not a YAML file: month must be in 1..12"),
        ("night: !!int abc\n", "not a YAML file: invalid literal for int()"),
        ("night: !!bool abc\n", "not a YAML file: 'abc'"),
        ("night: *unknown\n", "not a YAML file: found undefined alias"),
        ("---\nname: second\n", "not a YAML file: expected a single document"),
        ("\tname: x\n", "not a YAML file: "),
        ("night: " + "[" * 3000 + "]" * 3000, "not a YAML file: "),
        ("night: \x00", "not a YAML file: unacceptable character #x0000"),
        ("7: 7\n", "7: keys should be strings"),
        ('"two\\nlines": 1\n', r"'two\nlines': unknown field; accepted: budget, "),
    ],
    ids=[
        *("list as key", "map as key", "no such day", "no number", "no truth", "unknown alias"),
        *("two documents", "tab", "too deep", "nul", "number as key", "key of two lines"),
    ],
)
def test_what_yaml_allows_or_stumbles_over_is_one_line(tmp_path: Path, added: str, said: str) -> None:
    assert said in refused(tmp_path, DIGITS + added)


LAUGHS = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
)
"""A thousand million laughs in half a kilobyte."""


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (LAUGHS, "not a YAML file: more than 100000 values"),
        ("night: &night [*night]\n", "not a YAML file: an alias stands for what it is a part of"),
        ("night: " + "x" * 1_000_000, "not a YAML file: more than 1000000 characters"),
        ("night: !!python/object/apply:os.system [id]\n", "could not determine a constructor for the tag"),
        ("night: !!python/name:os.system\n", "could not determine a constructor for the tag"),
        ("night: {<<: [{a: 1}, {a: 2}]}\n", "could not determine a constructor for the tag"),
    ],
    ids=["laughs", "itself", "long", "call", "name", "merge"],
)
def test_what_yaml_could_grow_to_or_make_is_refused(tmp_path: Path, added: str, said: str) -> None:
    line = refused(tmp_path, DIGITS + added)
    assert said in line
    assert len(line) < 1000


def test_a_message_repeats_only_the_beginning_of_a_long_value(tmp_path: Path) -> None:
    line = refused(tmp_path, DIGITS.replace("strategy: grid", f"strategy: {list(range(50_000))}"))
    assert "digits.yaml: strategy: [0, 1, 2," in line
    assert len(line) < 1000


@pytest.mark.parametrize("module", ["os", "subprocess", "importlib.util", "builtins", "jobs.spark"])
def test_a_module_of_pythons_is_no_place_for_a_network(tmp_path: Path, module: str) -> None:
    line = refused(tmp_path, DIGITS.replace("model: mlp", f"model: {module}:system"))
    assert f"model: '{module}:system': {module.partition('.')[0]} is " in line


@pytest.mark.parametrize("name", ["digits", "mnist", "range", "values"])
@pytest.mark.parametrize("place", ["", "search", "dataset", "search.learning_rate"])
def test_an_unknown_field_keeps_its_name_whatever_it_is_called(tmp_path: Path, name: str, place: str) -> None:
    content = copy.deepcopy(SCHEMA)
    content["search"]["learning_rate"] = {"low": 0.001, "high": 0.01, "steps": 2}
    inner: Any = content
    for part in filter(None, place.split(".")):
        inner = inner[part]
    inner[name] = 1
    field = f"{place}.{name}".removeprefix(".")
    assert f"digits.yaml: {field}: unknown field; accepted: " in refused(tmp_path, yaml.safe_dump(content))


@pytest.mark.parametrize("field", ["default.learning_rate", "budget.minutes", "budget.target", "dataset.split.train"])
def test_what_is_not_a_number_is_refused(tmp_path: Path, field: str) -> None:
    content = copy.deepcopy(SCHEMA)
    *above, last = field.split(".")
    inner: Any = content
    for part in above:
        inner = inner[part]
    inner[last] = float("nan")
    assert f"digits.yaml: {field}: nan: input should be " in refused(tmp_path, yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ({}, "digits.yaml: dataset.source: missing"),
        ("digits", "digits.yaml: dataset: 'digits': "),
        (
            {"source": ["digits"]},
            "digits.yaml: dataset.source: ['digits']; accepted: 'digits', 'mnist', 'image_folder'",
        ),
        ({"source": "mnist", "mirrors": "http://x/"}, "digits.yaml: dataset.mirrors: 'http://x/': "),
        ({"source": "mnist", "folder": 3}, "digits.yaml: dataset.folder: 3: "),
        (
            {"source": "digits", "folder": "/data"},
            "digits.yaml: dataset.folder: unknown field; accepted: seed, source, ",
        ),
        ({"source": "digits", "seed": 2**32}, "digits.yaml: dataset.seed: 4294967296: input should be less than"),
        ({"source": "digits", "split": {"train": 1.0}}, "digits.yaml: dataset.split.validation: missing"),
    ],
)
def test_a_wrong_source_is_told_with_the_field(tmp_path: Path, dataset: object, said: str) -> None:
    assert said in refused(tmp_path, yaml.safe_dump(SCHEMA | {"dataset": dataset}))


def test_a_file_below_a_file_is_no_experiment(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").write_text(DIGITS)
    with pytest.raises(InvalidExperimentError, match=r"digits\.yaml/x\.yaml: no such experiment file; accepted: none"):
        load_experiment(tmp_path / "digits.yaml" / "x.yaml")


def test_numbers_in_the_notation_of_scientists_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "digits.yaml"  # YAML 1.1 takes 1e-3 for text
    path.write_text(DIGITS.replace("learning_rate: 0.001", "learning_rate: 1e-3"))
    assert load_experiment(path).default.learning_rate == 0.001


def test_an_experiment_cannot_be_changed_once_it_is_read() -> None:
    experiment = Experiment.model_validate(SCHEMA)
    for section in (experiment, experiment.default, experiment.search, experiment.budget, experiment.dataset):
        name = next(iter(type(section).model_fields))
        with pytest.raises(ValueError, match="frozen"):
            setattr(section, name, None)
