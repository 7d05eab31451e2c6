"""Whatever images, labels, models and trials are called, the pages show it as text: nothing that is stored becomes a script."""

import asyncio
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from atoll.pages import days, models, studies
from fastapi import FastAPI

from jobs.labelling.schema import LabelledImage, ModelStamp, QuarantinedImage, ScoredLabel
from jobs.results import PreparedDataset
from jobs.workspace import Workspace
from tests.plugins.pages import example

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)></textarea></title>{{ 7 * 7 }}\u202e\n<svg/onload=alert(3)>"
DAY = date(2026, 3, 1)


class Parts(HTMLParser):
    """Collects what a browser could run, and the text between."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.runs: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        source = given.get("src") or given.get("href") or given.get("data-href") or given.get("action") or "/"
        foreign = not source.startswith(("/", "#"))
        if (
            foreign
            or (tag == "script" and not source.startswith("/static/"))
            or any(name[:2] == "on" for name in given)
        ):
            self.runs.append(self.get_starttag_text() or tag)
        self.text += "".join(f" {value}" for value in given.values())

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A day, labelled twice, its quarantine and a study, in which everything has a hostile name."""
    made = Workspace(tmp_path_factory.mktemp("hostile"))
    for image_set, label in (("photos", HOSTILE), ("photos-other", f"other {HOSTILE}")):
        row = LabelledImage(f"a/{HOSTILE}.jpg", (ScoredLabel(label, 0.5),), 8, 8, datetime(2026, 3, 2, tzinfo=UTC))
        refused = QuarantinedImage(HOSTILE, "unreadable", f"detail {HOSTILE}")
        example.publish_day(made, image_set, DAY, ModelStamp(HOSTILE, None, HOSTILE), [row], [refused])
    failed = example.outcome(0).model_copy(
        update={"state": "failed", "validation_accuracy": None, "reason": HOSTILE, "traceback": f"in {HOSTILE}"}
    )
    dataset = PreparedDataset.model_construct(folder=HOSTILE, fingerprint=HOSTILE)
    example.add_study(made, "night", [failed, example.outcome(1)], dataset)
    return made


def pages(workspace: Workspace, paths: list[str], monkeypatch: pytest.MonkeyPatch) -> list[httpx.Response]:
    """Asks for pages as somebody who may see them all."""
    monkeypatch.setenv("ATOLL_HOME", str(workspace.root))
    server = FastAPI()
    for part in (models, studies, days):
        server.include_router(part.router)
        for needed in part.router.dependencies:
            server.dependency_overrides[needed.dependency] = lambda: None

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://here") as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(ask())


def test_no_name_becomes_a_script_on_any_page(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    image = httpx.QueryParams({"name": f"a/{HOSTILE}.jpg"})
    day = f"/days/photos/{DAY}"
    paths = [day, f"{day}/quarantine", f"{day}/image?{image}", f"{day}/comparison/photos-other", "/days/photos"]
    for path, answer in zip(paths, pages(workspace, paths, monkeypatch), strict=True):
        assert answer.status_code == 200, (path, answer.text)
        shown = Parts(answer.text)
        assert shown.runs == [], path
        assert HOSTILE in shown.text, path


def test_no_trial_becomes_a_script_on_the_page_of_its_study(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (answer,) = pages(workspace, ["/studies/night"], monkeypatch)
    shown = Parts(answer.text)
    assert shown.runs == []
    assert f"in {HOSTILE}" in shown.text
    assert shown.text.count(HOSTILE) >= 3


def test_every_page_asks_for_a_permission() -> None:
    """A page that is added without one would be open to everybody who can log in."""
    folder = Path(days.__file__).parent
    routers = [path.stem for path in folder.glob("*.py") if "APIRouter(" in path.read_text()]
    assert sorted(routers) == ["days", "models", "runs", "studies"]
    for name in routers:
        text = (folder / f"{name}.py").read_text()
        assert text.count("APIRouter(") == text.count("dependencies=[access.SEES_"), name
    application = (folder / "app.py").read_text()
    assert "dependencies=[Depends(get_user)], docs_url=None, redoc_url=None, openapi_url=None" in application
    assert "@application.get" not in application
    assert "@application.post" not in application
