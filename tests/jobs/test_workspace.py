"""Where everything lies: the paths that users and other tools rely on, as they are written in the documentation."""

from datetime import date
from pathlib import Path

import pytest

from jobs.errors import InvalidArgumentError
from jobs.workspace import REPOSITORY, Workspace, file_name

DAY = date(2026, 3, 1)


def test_the_layout_is_what_the_documentation_says() -> None:
    workspace = Workspace(Path("/w"))
    assert [
        workspace.dataset("mnist", "0123abcd"),
        workspace.image_set("photos", DAY),
        workspace.labels("photos", DAY),
        workspace.quarantine("photos", DAY),
        workspace.study("night-1"),
        workspace.run("tune_model", "manual__2026-03-01", "select_model"),
    ] == [
        Path("/w/datasets/mnist/0123abcd"),
        Path("/w/image_sets/photos/ds=2026-03-01"),
        Path("/w/labels/photos/ds=2026-03-01"),
        Path("/w/quarantine/photos/ds=2026-03-01"),
        Path("/w/studies/night-1"),
        Path("/w/runs/tune_model/manual__2026-03-01/select_model"),
    ]


def test_the_workspace_is_what_is_given_else_atoll_home_else_var(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path / "home"))
    assert Workspace.open(str(tmp_path)).root == tmp_path
    assert Workspace.open(f"file://{tmp_path}").root == tmp_path
    assert Workspace.open().root == tmp_path / "home"
    monkeypatch.delenv("ATOLL_HOME")
    assert Workspace.open().root == REPOSITORY / "var"


@pytest.mark.parametrize("home", ["s3a://bucket/atoll", "hdfs://name/atoll"])
def test_a_workspace_that_cannot_be_mounted_is_refused(home: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"ATOLL_HOME: '{home}' is not a path; accepted: a folder"):
        Workspace.open(home)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "a\\b", "-x", "ä", "a b", "a\n"])
def test_no_name_leads_out_of_its_folder(name: str) -> None:
    workspace = Workspace(Path("/w"))
    for place in (
        lambda: workspace.dataset(name, "f"),
        lambda: workspace.dataset("d", name),
        lambda: workspace.image_set(name, DAY),
        lambda: workspace.labels(name, DAY),
        lambda: workspace.quarantine(name, DAY),
        lambda: workspace.study(name),
    ):
        with pytest.raises(InvalidArgumentError, match="cannot name a folder; accepted: letters, digits"):
            place()


@pytest.mark.parametrize(
    ("run", "folder"),
    [
        ("scheduled__2026-03-01T01:00:00+00:00", "scheduled__2026-03-01T01-00-00-00-00"),
        (
            "asset_triggered__2026-03-01T01:00:00.123456+00:00_Ab3",
            "asset_triggered__2026-03-01T01-00-00.123456-00-00_Ab3",
        ),
        ("nightly-3", "nightly-3"),
        ("...", "unnamed"),
        ("../../etc", "etc-f470a0ab"),
        ("nightly 3", "nightly-3-5f728b61"),
    ],
)
def test_any_run_has_a_safe_folder(run: str, folder: str) -> None:
    assert file_name(run) == folder


def test_no_two_runs_share_a_folder() -> None:
    runs = [f"day{between}1T00:00:00{zone}" for between in "-:+~ " for zone in ("+05:00", "-05:00", "+00:00")]
    assert len({file_name(run) for run in runs}) == len(runs)
