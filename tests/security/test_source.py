"""No file from outside is loaded in a way that can run it: the source itself is read."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.workspace import REPOSITORY

ROOMS = ("jobs", "plugins", "dags", "local", "docker")
SOURCES = sorted(path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py"))

RUNS_WHAT_IT_READS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "runpy"}
"""Modules whose loaders call what a file names. Spark uses the third of them between its own parts, which share a secret."""

NEVER_CALLED = {
    *("eval", "exec", "os.system", "os.popen", "pty.spawn"),
    *("yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "yaml.safe_load_all", "numpy.fromregex"),
    *(
        "mlflow.pyfunc.load_model",
        "mlflow.keras.load_model",
        "mlflow.tensorflow.load_model",
        "mlflow.sklearn.load_model",
    ),
    *("pandas.read_pickle", "shutil.unpack_archive", "keras.config.enable_unsafe_deserialization"),
}
"""What a model in MLflow's registry holds beside a graph and labels, such as a python_function, is fetched but never loaded."""


def name_of(node: ast.expr) -> str:
    """Writes `a.b.c` for an attribute of an attribute of a name."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(tree: ast.AST) -> Iterator[tuple[str, dict[str, ast.expr]]]:
    """Gives each call by its full name, with its named arguments."""
    short = {"np": "numpy", "pd": "pandas"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, dot, rest = name_of(node.func).partition(".")
            yield short.get(first, first) + dot + rest, {one.arg: one.value for one in node.keywords if one.arg}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_nothing_is_loaded_in_a_way_that_runs_it(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name.partition(".")[0] for name in imported} & RUNS_WHAT_IT_READS
    for name, given in calls(tree):
        assert name not in NEVER_CALLED
        assert "shell" not in given
        assert "allow_pickle" not in given
        assert not name.endswith((".extractall", ".extract")), "an archive's names may lead out of the folder"
        if name.endswith("saving.load_model"):
            assert ast.unparse(given["safe_mode"]) == "True"
        if name == "yaml.load":
            assert ast.unparse(given["Loader"]) == "_StrictLoader"


def test_the_rooms_are_read_at_all() -> None:
    names = {path.relative_to(REPOSITORY).as_posix() for path in SOURCES}
    assert {"jobs/models/saved_model.py", "jobs/strict_yaml.py", "plugins/atoll/operators.py"} <= names
    text = "".join(path.read_text() for path in SOURCES)
    assert "keras.saving.load_model(" in text
    assert "yaml.load(" in text
