"""Airflow as its admin sees it over REST: what tests start, wait for, clear and read."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

import httpx

from tests.local.support import poll

ENDED = ("success", "failed")

RUNS = 1.0
"""Seconds between two looks at runs: each costs the server what it has less for them."""


@dataclass(frozen=True)
class DagRun:
    """What Airflow says of a run; times are None before they come."""

    id: str
    state: str
    kind: str
    day: date | None
    started: datetime | None
    ended: datetime | None
    conf: dict


@dataclass(frozen=True)
class TaskRun:
    """What Airflow says of one task of a run."""

    task: str
    state: str
    attempt: int
    queued: datetime | None
    started: datetime | None
    ended: datetime | None

    @property
    def seconds(self) -> float:
        assert self.started is not None
        assert self.ended is not None
        return (self.ended - self.started).total_seconds()


class AirflowRest:
    """One who has logged in.

    Attributes:
        url: Where Airflow answers.
        rest: A client of its REST interface.
    """

    url: str
    token: str
    rest: httpx.Client

    def connect(self, url: str, user: str, password: str) -> None:
        """Logs in."""
        self.url = url
        given = {"username": user, "password": password}
        self.token = httpx.post(f"{url}/auth/token", json=given, timeout=30).json()["access_token"]
        headers = {"Authorization": f"Bearer {self.token}"}
        self.rest = httpx.Client(base_url=f"{url}/api/v2", headers=headers, timeout=60, trust_env=False)

    def ask(self, method: str, path: str, body: dict | None = None) -> dict:
        answer = self.rest.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def trigger(self, dag: str, conf: dict) -> str:
        """Starts a run by hand; gives its identifier."""
        return self.ask("POST", f"/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"]

    def unpause(self, dag: str) -> None:
        self.ask("PATCH", f"/dags/{dag}?update_mask=is_paused", {"is_paused": False})

    def pause(self, dag: str) -> None:
        self.ask("PATCH", f"/dags/{dag}?update_mask=is_paused", {"is_paused": True})

    def runs(self, dag: str, kind: str | None = None) -> list[DagRun]:
        found: list[dict] = []
        while page := self.ask("GET", f"/dags/{dag}/dagRuns?limit=100&offset={len(found)}")["dag_runs"]:
            found += page
            if len(page) < 100:
                break
        return [run for run in map(_run, found) if kind in (None, run.kind)]

    def tasks(self, dag: str, run: str) -> dict[str, TaskRun]:
        found = self.ask("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {one["task_id"]: _task(one) for one in found}

    def end(self, dag: str, ids: Iterable[str] | str, seconds: float = 600) -> list[DagRun]:
        """Waits until runs have ended, and gives them."""
        wanted = {ids} if isinstance(ids, str) else set(ids)

        def ended() -> list[DagRun]:
            found = [run for run in self.runs(dag) if run.id in wanted]
            return found if len(found) == len(wanted) and all(run.state in ENDED for run in found) else []

        return poll(ended, seconds, RUNS)  # type: ignore[return-value]

    def clear(self, dag: str, run: str) -> None:
        """Clears the failed tasks of a run, as the button in Airflow does."""
        body = {"dry_run": False, "only_failed": True, "dag_run_id": run}
        self.ask("POST", f"/dags/{dag}/clearTaskInstances", body)

    def result(self, dag: str, run: str, task: str) -> dict:
        """What a task has handed on."""
        value = self.ask("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value")["value"]
        return json.loads(value) if isinstance(value, str) else value

    def log_of(self, dag: str, run: str, task: str, attempt: int = 1) -> str:
        answer = self.rest.get(f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{attempt}?full_content=true")
        return answer.text


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _run(one: dict) -> DagRun:
    start = _moment(one["data_interval_start"])
    day = start.date() if start and one["run_type"] != "manual" else None
    return DagRun(
        one["dag_run_id"], one["state"], one["run_type"], day, _moment(one["start_date"]), _moment(one["end_date"]),
        one["conf"] or {},
    )  # fmt: skip


def _task(one: dict) -> TaskRun:
    return TaskRun(
        one["task_id"], one["state"] or "none", one["try_number"], _moment(one["queued_when"]),
        _moment(one["start_date"]), _moment(one["end_date"]),
    )  # fmt: skip
