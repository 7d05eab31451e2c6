"""The pages on a workspace that is new, gone or misnamed; and what the plugin costs a process that never shows them."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from jobs.labelling.schema import LabelledImage, ModelStamp, ScoredLabel
from jobs.workspace import Workspace
from tests.local.support import REPOSITORY
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
