"""Who sees the pages and who may change the champion: Airflow's own login and permissions, on its real API server."""

import re
from urllib.parse import quote

import httpx
import pytest
from itsdangerous import URLSafeTimedSerializer

from tests.plugins.pages.server import SECRET, Server

pytestmark = pytest.mark.stack

DAY = "/days/digits/2026-03-12"
STUDY = "/studies/digits-scheduled__2026-03-10T01-00-00-00-00"
PAGES = ["/", "/models/digits", "/models/digits/versions/1", "/studies", STUDY, "/days", "/days/digits", DAY]
PAGES += [f"{DAY}/quarantine"]
ROLLBACK = "/models/digits/rollback"


@pytest.mark.parametrize("path", PAGES)
def test_without_a_login_a_person_is_sent_to_airflows_and_comes_back(server: Server, path: str) -> None:
    answer = server.visitor(None).get(path)
    assert answer.status_code == 302
    login = httpx.URL(answer.headers["location"])
    assert login.path == "/auth/login"
    assert login.params["next"] == f"{server.url}/atoll{path}"


@pytest.mark.parametrize("path", [*PAGES, f"{DAY}/thumbnail?name=digit-0033.jpg", "/dags/tune_model"])
def test_without_a_login_a_program_is_refused(server: Server, path: str) -> None:
    answer = server.visitor(None).get(path, headers={"accept": "*/*"})
    assert answer.status_code == 401
    assert "digit" not in answer.text


@pytest.mark.parametrize("path", [*PAGES, f"{DAY}/thumbnail?name=digit-0033.jpg", f"{DAY}/image", "/dags/tune_model"])
def test_a_login_without_the_permission_to_read_the_dag_shows_nothing(server: Server, path: str) -> None:
    answer = server.visitor("stranger").get(path)
    assert answer.status_code == 403
    assert "Not allowed" in answer.text
    assert "digit" not in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_a_viewer_sees_every_page(server: Server, path: str) -> None:
    answer = server.visitor("viewer").get(path)
    assert answer.status_code == 200, answer.text
    assert "digits" in answer.text


def test_a_bearer_token_does_as_well_as_the_cookie(server: Server) -> None:
    headers = {"authorization": f"Bearer {server.token('viewer')}"}
    assert httpx.get(f"{server.url}/atoll/", headers=headers, timeout=30).status_code == 200


def test_a_forged_token_is_refused(server: Server) -> None:
    answer = httpx.get(f"{server.url}/atoll/", headers={"authorization": "Bearer guessed"}, timeout=30)
    assert answer.status_code in (401, 403)


def form_token(visitor: httpx.Client) -> str:
    """The token in the form of the model's page."""
    found = re.search(r'name="token" value="([^"]+)"', visitor.get("/models/digits").text)
    assert found, "the page has a form"
    return found[1]


def runs(server: Server) -> list[dict[str, object]]:
    headers = {"authorization": f"Bearer {server.token('admin')}"}
    answer = httpx.get(f"{server.url}/api/v2/dags/roll_back_model/dagRuns", headers=headers, timeout=30)
    return list(answer.raise_for_status().json()["dag_runs"])


def test_a_viewer_is_offered_no_rollback_and_can_start_none(server: Server) -> None:
    viewer, before = server.visitor("viewer"), len(runs(server))
    assert "Roll back" not in viewer.get("/models/digits").text
    token = URLSafeTimedSerializer(SECRET, salt="atoll.pages.form").dumps("viewer")  # as if a page had shown it
    answer = viewer.post(ROLLBACK, data={"token": token, "version": "1", "why": "because I want it"})
    assert answer.status_code == 403
    assert "too old" not in answer.text
    assert len(runs(server)) == before


def test_an_editor_starts_the_rollback_in_their_own_name(server: Server) -> None:
    editor = server.visitor("editor")
    form = {"token": form_token(editor), "version": "2", "why": "takes a 3 for\nan 8"}
    answer = editor.post(ROLLBACK, data=form)
    assert answer.status_code == 303, answer.text
    run = runs(server)[-1]
    assert run["conf"] == {"model": "digits", "version": 2, "why": "takes a 3 for an 8"}
    assert run["triggering_user_name"] == "editor"
    page = httpx.URL(answer.headers["location"])
    assert page.params["run"] == run["dag_run_id"]


def test_the_models_page_tells_how_a_rollback_goes(server: Server) -> None:
    editor = server.visitor("editor")
    answer = editor.post(ROLLBACK, data={"token": form_token(editor), "version": "1", "why": "to see it"})
    run = httpx.URL(answer.headers["location"]).params["run"]

    def said() -> str:
        return editor.get("/models/digits", params={"run": run}).text

    assert "The rollback to version 1 waits: the DAG roll_back_model is paused" in said()
    assert 'data-live="2' in said()
    for state, words in (("failed", "The rollback to version 1 has failed"), ("success", "Rolled back: version 1")):
        httpx.patch(
            f"{server.url}/api/v2/dags/roll_back_model/dagRuns/{quote(run)}", json={"state": state}, timeout=30,
            headers={"authorization": f"Bearer {server.token('admin')}"},
        ).raise_for_status()  # fmt: skip
        assert words in said()
        assert "data-live" not in said()
    assert "Rolled back" not in editor.get("/models/digits", params={"run": "manual__of-another"}).text


@pytest.mark.parametrize(
    ("changed", "origin", "status", "said"),
    [
        ({}, "https://elsewhere.example", 403, "sent from another site"),
        ({}, "null", 403, "sent from another site"),
        ({"token": ""}, None, 403, "too old"),
        ({"token": "guessed"}, None, 403, "too old"),
        ({"version": "99"}, None, 404, "no version 99; accepted: 1, 2, 3, 4"),
        ({"version": "0"}, None, 422, "version"),
        ({"why": "x"}, None, 422, "why"),
    ],
)
def test_a_forged_or_wrong_form_changes_nothing(
    server: Server, changed: dict[str, str], origin: str | None, status: int, said: str
) -> None:
    editor, before = server.visitor("editor"), len(runs(server))
    form = {"token": form_token(editor), "version": "1", "why": "because I want it"} | changed
    answer = editor.post(ROLLBACK, data=form, headers={"origin": origin} if origin else {})
    assert answer.status_code == status
    assert said in answer.text
    assert len(runs(server)) == before


def test_another_users_form_is_refused(server: Server) -> None:
    form = {"token": form_token(server.visitor("admin")), "version": "1", "why": "because I want it"}
    assert server.visitor("editor").post(ROLLBACK, data=form).status_code == 403


def test_no_rollback_without_a_login(server: Server) -> None:
    assert server.visitor(None).post(ROLLBACK, data={"version": "1", "why": "because"}).status_code == 401
