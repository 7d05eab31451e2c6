"""Housekeeping removes what is old and not needed, and never what a registered version or a day needs."""

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from jobs.errors import InvalidArgumentError, ServiceUnavailableError
from jobs.experiment import load_experiment
from jobs.registry.versions import register
from jobs.retention.clean_up import clean_up
from jobs.retention.rules import Found, Kind, Needed, RetentionRule, removable
from jobs.retention.survey import survey
from jobs.tuning.leaderboard import Leaderboard
from jobs.workspace import REPOSITORY, Workspace

NOW = datetime(2026, 6, 1, tzinfo=UTC)
RULE = RetentionRule(checkpoints=14, studies=90, datasets=90, runs=30)
NEEDED = Needed(frozenset({"registered"}), frozenset({"f-registered"}))


def found(kind: Kind, name: str, days: float, dataset: str | None = None) -> Found:
    return Found(kind, Path(kind, name), name, NOW - timedelta(days=days), 10, dataset)


@pytest.mark.parametrize(
    ("there", "gone"),
    [
        ([found("checkpoints", "s", 14)], False),
        ([found("checkpoints", "s", 14.1)], True),
        ([found("checkpoints", "registered", 15)], True),
        ([found("study", "s", 90)], False),
        ([found("study", "s", 91)], True),
        ([found("study", "registered", 9999)], False),
        ([found("dataset", "f", 90)], False),
        ([found("dataset", "f", 91)], True),
        ([found("dataset", "f-registered", 9999)], False),
        ([found("dataset", "f", 91), found("study", "s", 1, "f")], False),
        ([found("run", "r", 30)], False),
        ([found("run", "r", 31)], True),
        ([found("staged", ".ds=1.staged-1", 31)], True),
    ],
)
def test_what_is_old_and_not_needed_goes(there: list[Found], gone: bool) -> None:
    assert [removal.found for removal in removable(there, NEEDED, RULE, NOW)] == (there[:1] if gone else [])


def test_a_data_set_goes_with_the_last_study_that_needs_it() -> None:
    there = [found("dataset", "f", 200), found("study", "old", 200, "f"), found("checkpoints", "old", 200)]
    assert {removal.found.kind for removal in removable(there, NEEDED, RULE, NOW)} == {"dataset", "study"}
    there.append(found("study", "new", 2, "f"))
    assert {removal.found.kind for removal in removable(there, NEEDED, RULE, NOW)} == {"study"}


def test_less_than_a_day_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="datasets: 0 days; accepted: 1 or more"):
        RetentionRule(datasets=0)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A year-old workspace: a study with a registered version and one without, their data sets, runs and days."""
    made = Workspace(tmp_path)
    for study, dataset in (("registered", "aaaa"), ("abandoned", "bbbb")):
        folder = made.study(study)
        write(folder / "trials" / "0000" / "epoch-00001.npz", 1000)
        write(folder / ".lock")
        Leaderboard(
            study=study,
            experiment=load_experiment(REPOSITORY / "experiments" / "digits.yaml"),
            dataset=str(made.dataset("digits", dataset)),
            dataset_fingerprint=dataset,
            trials=[],
        ).write(folder)
        write(made.dataset("digits", dataset) / "test.npz", 500)
    selected = made.study("registered") / "model"
    write(selected / "graph.pb")
    (selected / "labels.txt").write_text("a\n")
    register("digits", "registered", "aaaa", selected, {}, made)
    day = datetime(2025, 3, 1).date()
    for place in (made.labels("photos", day), made.quarantine("photos", day), made.image_set("photos", day)):
        write(place / "part.parquet")
    write(made.labels("photos", day).with_name(".ds=2025-03-01.staged-0123456789ab") / "part.parquet")
    write(made.run("tune_model", "manual__1", "tune_model") / "result.json")
    age(tmp_path, 365)
    return made


def write(path: Path, size: int = 10) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))


def age(folder: Path, days: float) -> None:
    """Makes everything in a folder as old as that."""
    then = (NOW - timedelta(days=days)).timestamp()
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (then, then))


def files(workspace: Workspace) -> set[str]:
    """What lies in the workspace, without MLflow's own, and without locks and journals."""
    return {
        str(path.relative_to(workspace.root))
        for path in workspace.root.rglob("*")
        if path.is_file() and path.suffix not in (".lock", ".json") and path.name != ".lock"
        and path.relative_to(workspace.root).parts[0] != "mlflow"
    }  # fmt: skip


KEPT = {
    "studies/registered/model/labels.txt",
    "studies/registered/model/graph.pb",
    "datasets/digits/aaaa/test.npz",
    "labels/photos/ds=2025-03-01/part.parquet",
    "quarantine/photos/ds=2025-03-01/part.parquet",
    "image_sets/photos/ds=2025-03-01/part.parquet",
}


def test_a_dry_run_lists_all_and_removes_nothing(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "atoll")
    before = files(workspace)
    result = clean_up(workspace, RULE, NOW, dry_run=True)
    assert files(workspace) == before
    assert result.removed == {"checkpoints": 1, "study": 1, "dataset": 1, "run": 1, "staged": 1}
    for what in ("studies/registered/trials", "studies/abandoned", "datasets/digits/bbbb", "runs/tune_model/manual__1"):
        assert f"would remove {what} (" in caplog.text


def test_what_a_version_or_a_day_needs_stays_and_all_else_goes(workspace: Workspace) -> None:
    result = clean_up(workspace, RULE, NOW, dry_run=False)
    assert files(workspace) == KEPT
    assert (workspace.study("registered") / "leaderboard.json").exists()
    assert result.bytes > 1500
    assert not (workspace.root / "runs" / "tune_model").exists()
    again = clean_up(workspace, RULE, NOW, dry_run=False)
    assert (sum(again.removed.values()), again.bytes) == (0, 0)


def test_what_was_used_lately_stays(workspace: Workspace) -> None:
    before = files(workspace)
    age(workspace.root, 1)
    clean_up(workspace, RULE, NOW, dry_run=False)
    assert files(workspace) == before


@pytest.mark.parametrize(
    ("lock", "kept"),
    [
        ("studies/abandoned/.lock", "studies/abandoned/trials/0000/epoch-00001.npz"),
        ("studies/registered/.lock", "studies/registered/trials/0000/epoch-00001.npz"),
        ("labels/photos/.ds=2025-03-01.lock", "labels/photos/.ds=2025-03-01.staged-0123456789ab/part.parquet"),
    ],
)
def test_what_a_driver_is_at_work_on_stays(workspace: Workspace, lock: str, kept: str) -> None:
    with FileLock(workspace.root / lock):
        clean_up(workspace, RULE, NOW, dry_run=False)
        assert kept in files(workspace)
    age(workspace.root, 365)
    clean_up(workspace, RULE, NOW, dry_run=False)
    assert kept not in files(workspace)


def test_a_day_that_is_about_to_be_published_stays(workspace: Workspace) -> None:
    write(workspace.root / "labels/photos/.ds=2025-03-01.publish.json")
    clean_up(workspace, RULE, NOW, dry_run=False)
    assert "labels/photos/.ds=2025-03-01.staged-0123456789ab/part.parquet" in files(workspace)


def test_what_a_killed_run_has_left_is_finished_by_the_next(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(_: Path) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", die)
        with pytest.raises(Killed):
            clean_up(workspace, RULE, NOW, dry_run=False)
    clean_up(workspace, RULE, NOW, dry_run=False)
    assert files(workspace) == KEPT


def test_nothing_is_removed_while_mlflow_does_not_answer(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(workspace)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ServiceUnavailableError):
        clean_up(workspace, RULE, NOW, dry_run=False)
    assert files(workspace) == before


def test_what_was_selected_stays_even_where_another_registry_is_asked(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/empty.db")
    clean_up(workspace, RULE, NOW, dry_run=False)
    assert files(workspace) - {"empty.db"} == KEPT


def test_hidden_folders_are_not_looked_at(workspace: Workspace) -> None:
    write(workspace.root / "datasets/digits/.cccc.being-written/test.npz")
    write(workspace.root / "studies/.hidden/leaderboard.json")
    assert not [one for one in survey(workspace) if "being-written" in one.name or "hidden" in one.name]
