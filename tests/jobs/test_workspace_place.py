"""Which places can be a workspace, and that naming one touches nothing."""

from datetime import date
from pathlib import Path

import pytest

from jobs.errors import InvalidArgumentError
from jobs.workspace import REPOSITORY, Workspace


def test_an_empty_atoll_home_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOLL_HOME", "")
    assert Workspace.open("").root == REPOSITORY / "var"


def test_a_place_is_made_absolute_from_where_the_user_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert Workspace.open("var/../home").root == tmp_path / "home"
    assert Workspace.open("~/atoll").root == tmp_path / "me" / "atoll"


def test_naming_a_workspace_makes_nothing(tmp_path: Path) -> None:
    workspace = Workspace.open(str(tmp_path / "not" / "yet"))
    workspace.dataset("d", "f")
    workspace.run("d", "r", "t")
    assert workspace.artifacts == tmp_path / "not" / "yet" / "mlflow"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["file", "file/below", "file/far/below"])
def test_a_file_or_a_place_below_one_is_no_workspace(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidArgumentError) as told:
        Workspace.open(str(tmp_path / place))
    assert str(told.value) == f"ATOLL_HOME: '{tmp_path / 'file'}' is a file; accepted: a folder"


@pytest.mark.parametrize("home", ["s3://b/a", "gs://b", "http://h/p", "://x", "FILE:///x"])
def test_an_address_of_another_kind_is_no_workspace(home: str) -> None:
    with pytest.raises(InvalidArgumentError, match="is not a path; accepted: a folder that every node mounts"):
        Workspace.open(home)


@pytest.mark.parametrize("name", ["../up", "..", ".hidden", "a/../b", "a\0b", "~", "ds=1", "*", "$HOME", " "])
def test_a_name_from_outside_stays_inside_its_folder(name: str) -> None:
    workspace = Workspace(Path("/w"))
    for said, place in {
        "data set": lambda: workspace.dataset(name, "f"),
        "fingerprint": lambda: workspace.dataset("d", name),
        "image set": lambda: workspace.labels(name, date(2026, 3, 1)),
        "study": lambda: workspace.study(name),
    }.items():
        with pytest.raises(InvalidArgumentError) as told:
            place()
        assert str(told.value).startswith(f"{said}: {name!r} cannot name a folder; accepted: ")


@pytest.mark.parametrize(
    ("day", "folder"),
    [(date(1, 1, 1), "ds=0001-01-01"), (date(2024, 2, 29), "ds=2024-02-29"), (date(9999, 12, 31), "ds=9999-12-31")],
)
def test_days_sort_by_the_names_of_their_folders(day: date, folder: str) -> None:
    assert Workspace(Path("/w")).labels("photos", day).name == folder
