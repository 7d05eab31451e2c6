"""People are told of failures and of late mornings, through a webhook that really listens."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from atoll.notices import ChatNotifier, deadline_missed, morning_deadline, post


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, str]]]:
    """What a chat's webhook has been sent."""
    taken: list[dict[str, str]] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("ATOLL_NOTIFY_URL", f"http://127.0.0.1:{server.server_port}/hook")
    yield taken
    server.shutdown()
    server.server_close()


def failed() -> dict[str, object]:
    task = SimpleNamespace(dag_id="tune_model", task_id="select_model", log_url="http://airflow/log")
    return {
        "task_instance": task,
        "dag_run": SimpleNamespace(run_id="scheduled__1"),
        "exception": ValueError("no trial\nis complete"),
    }


def test_a_failure_is_told_with_its_reason_and_where_the_log_is(chat: list[dict[str, str]]) -> None:
    ChatNotifier()(failed())
    assert chat == [
        {"text": "FAILED: tune_model.select_model of scheduled__1: no trial is complete (http://airflow/log)"}
    ]


def test_a_late_run_is_told(chat: list[dict[str, str]]) -> None:
    asyncio.run(deadline_missed(6, {"dag_run": {"dag_id": "tune_model", "dag_run_id": "scheduled__1"}}))
    assert chat == [{"text": "LATE: tune_model scheduled__1 has not ended 6 hours after it was queued"}]
    assert morning_deadline(6).callback.path == "atoll.notices.deadline_missed"


@pytest.mark.parametrize("address", ["", "ftp://chat", "http://127.0.0.1:1/hook"], ids=["none", "unknown", "closed"])
def test_a_chat_that_does_not_take_the_line_fails_no_task(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ATOLL_NOTIFY_URL", address)
    assert not post("FAILED: it")
    assert "FAILED: it" in caplog.text
