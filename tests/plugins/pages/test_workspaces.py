"""The pages on a workspace that is new, gone or misnamed; and what the plugin costs a process that never shows them."""

import io
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from jobs import object_store
from jobs.labelling.schema import LabelledImage, ModelStamp, QuarantinedImage, ScoredLabel
from jobs.workspace import Workspace
from tests.local.support import REPOSITORY
from tests.object_server import ObjectServer
from tests.plugins.pages import example


@pytest.fixture
def pages() -> Iterator[TestClient]:
    """The application alone; who is asked for is tested on the real server."""
    from airflow.api_fastapi.core_api.security import get_user
    from atoll.pages import access
    from atoll.pages.app import application

    opened = (get_user, access.SEES_MODELS.dependency, access.SEES_LABELS.dependency)
    application.dependency_overrides |= dict.fromkeys(opened, lambda: None)
    yield TestClient(application, headers={"accept": "text/html"}, follow_redirects=False)
    application.dependency_overrides.clear()


@pytest.mark.parametrize(
    ("path", "said"),
    [("/", "No model is registered yet"), ("/studies", "No study yet"), ("/days", "No day is labelled yet")],
)
def test_a_new_workspace_says_what_to_do_first(
    pages: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, said: str
) -> None:
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path / "new"))
    answer = pages.get(path)
    assert answer.status_code == 200
    assert said in answer.text


@pytest.mark.parametrize("path", ["/models/x", "/studies/x", "/days/x", "/days/x/2026-03-01"])
def test_what_a_new_workspace_does_not_hold_is_not_found(
    pages: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path / "new"))
    assert pages.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/", "/studies", "/days"])
def test_a_misnamed_workspace_is_told_in_one_line(
    pages: TestClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("ATOLL_HOME", "s3://bucket/atoll")
    answer = pages.get(path)
    assert answer.status_code == 404
    assert "accepted: a folder that every node mounts" in answer.text


def test_a_spoilt_study_hides_no_other(pages: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path))
    (tmp_path / "studies" / "spoilt").mkdir(parents=True)
    (tmp_path / "studies" / "spoilt" / "leaderboard.json").write_text("{")
    assert pages.get("/studies").status_code == 200
    assert "accepted" in pages.get("/studies/spoilt").text


def test_days_in_an_object_store_are_shown_as_those_of_a_folder(
    pages: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: ObjectServer
) -> None:
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path))
    monkeypatch.setenv("ATOLL_DAYS", f"s3://{store.new_bucket()}/atoll")
    workspace, day = Workspace.open(), date(2026, 3, 2)
    rows = [
        LabelledImage(f"walk/{name}.png", (ScoredLabel(name, 0.75),), 8, 8, datetime.now(UTC))
        for name in ("wren", "robin")
    ]
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(picture, "PNG")
    object_store.write(workspace.image_set("garden", day) / "walk/wren.png", picture.getvalue())
    bad = [QuarantinedImage("bad.png", "empty", "zero bytes")]
    example.publish_day(workspace, "garden", day, ModelStamp("birds", None, "ab"), rows, bad)
    example.publish_day(workspace, "garden-new", day, ModelStamp("birds", None, "cd"), rows[:1], [])
    for path, said in {
        "/days": "/days/garden-new/2026-03-02",
        "/days/garden": "2026-03-02",
        "/days/garden/2026-03-02": "walk/wren.png",
        "/days/garden/2026-03-02/quarantine": "zero bytes",
        "/days/garden/2026-03-02/comparison/garden-new": "garden-new",
        "/days/garden/2026-03-02/image?name=walk/robin.png": "robin",
    }.items():
        answer = pages.get(path)
        assert (answer.status_code, said in answer.text) == (200, True), path
    for image_set in ("garden", "garden-new"):
        shown = pages.get(f"/days/{image_set}/2026-03-02/thumbnail?name=walk/wren.png")
        assert (shown.status_code, Image.open(io.BytesIO(shown.content)).size) == (200, (8, 8))
    gone = pages.get("/days/garden/2026-03-02/thumbnail?name=walk/robin.png")
    assert (gone.status_code, "it is gone" in gone.text) == (404, True)
    for path in ("/days/garden/2026-03-03", "/days/hedge", "/days/garden/2026-03-02/comparison/hedge"):
        assert pages.get(path).status_code == 404, path


def test_the_plugin_imports_no_engine_and_no_page(tmp_path: Path) -> None:
    code = (
        "import sys; import airflow.plugins_manager; before = set(sys.modules); import atoll_plugin; "
        "new = set(sys.modules) - before; "
        "print(sorted(name for name in new if name.split('.')[0] in "
        "('tensorflow', 'pyspark', 'mlflow', 'optuna', 'pyarrow', 'fastapi', 'jobs') or name.startswith('atoll.pages')))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60,
        cwd=REPOSITORY / "plugins", env={"PATH": "/usr/bin", "AIRFLOW_HOME": str(tmp_path),
                                         "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert found.stdout.strip().splitlines()[-1] == "[]"


def test_scores_that_are_no_shares_of_one_are_shown_as_they_are(
    pages: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path))
    at = datetime(2026, 3, 2, tzinfo=UTC)
    rows = [LabelledImage(f"{score}.jpg", (ScoredLabel("cat", score),), 64, 64, at) for score in (-2.5, 0.5, 12.25)]
    example.publish_day(Workspace(tmp_path), "cats", at.date(), ModelStamp("stock", None, "ab"), rows, [])
    shown = pages.get("/days/cats/2026-03-02").text
    assert [score in shown for score in (">-2.5<", ">50.0 %<", ">12.25<")] == [True, True, True]
    assert ">12.25<" in pages.get("/days/cats/2026-03-02?lowest=5&highest=").text
    assert [pages.get(f"/days/cats/2026-03-02?lowest={score}").status_code for score in ("nan", "inf", "much")] == [
        422
    ] * 3
