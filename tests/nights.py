"""A stack as a team runs it every night, for tests: its schedules on, its DAGs with small images and small networks."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import yaml

from jobs.workspace import REPOSITORY, Workspace
from local.environment import USER
from local.rest import Airflow
from local.runs import wait_for_dags
from local.settings import Settings
from local.stack import Stack
from tests import tones
from tests.local.support import poll

ENDED = ("success", "failed")


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


class Nights:
    """A running stack, seen by its admin over REST, by the command line and by files."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.log_in()

    def log_in(self) -> None:
        """To be done again after each start, which may have given other ports."""
        state = self.stack.file.read()
        assert state is not None
        self.url = state.airflow_url
        self.airflow = Airflow(self.url, USER, self.stack.secrets.admin_password)
        given = {"username": USER, "password": self.stack.secrets.admin_password}
        self.token = httpx.post(f"{self.url}/auth/token", json=given, timeout=30).json()["access_token"]
        headers = {"Authorization": f"Bearer {self.token}"}
        self.rest = httpx.Client(base_url=f"{self.url}/api/v2", headers=headers, timeout=60, trust_env=False)

    @property
    def workspace(self) -> Workspace:
        return self.stack.settings.workspace

    def cli(self, *words: str) -> str:
        """Runs `python -m local airflow WORDS`, as a person would."""
        done = subprocess.run(
            [sys.executable, "-m", "local", "airflow", *words],
            cwd=REPOSITORY,
            env=os.environ | {"ATOLL_HOME": str(self.workspace.root)} | self._own_settings(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

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
        found = self.ask("GET", f"/dags/{dag}/dagRuns?limit=100")["dag_runs"]
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

        return poll(ended, seconds)  # type: ignore[return-value]

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

    def _own_settings(self) -> dict[str, str]:
        settings = self.stack.settings
        return {"ATOLL_SPARK_MASTER": settings.spark_master, "ATOLL_EXPERIMENTS": str(settings.experiments)}


@contextmanager
def started(folder: Path, master: str = "local[1]", epochs: int = 10) -> Iterator[Nights]:
    """Starts a stack whose schedules begin half a day away from now, and stops it."""
    hour = (datetime.now(UTC).hour + 12) % 24
    schedule = f"0 {hour} * * *"
    experiments = folder / "experiments"
    write_experiments(experiments, epochs)
    settings = Settings.from_environment(
        {"ATOLL_HOME": str(folder / "home"), "ATOLL_SPARK_MASTER": master, "ATOLL_EXPERIMENTS": str(experiments)}
    )
    stack = Stack(settings, lambda line: None)
    with _environment({"ATOLL_TUNE_SCHEDULE": schedule, "ATOLL_LABEL_SCHEDULE": schedule}):
        try:
            stack.up(mlflow=False)
            nights = Nights(stack)
            wait_for_dags(nights.airflow, ["tune_model", "label_images", "roll_back_model"], None)
            yield nights
            nights.airflow.close()
        finally:
            stack.down()


def write_experiments(folder: Path, epochs: int) -> None:
    """Writes a small search on the digits, and the experiment whose model the tests make themselves."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = yaml.safe_load((REPOSITORY / "experiments" / "digits.yaml").read_text())
    digits["search"] = {"learning_rate": [0.003, 0.01], "neurons": [32]}
    digits["budget"] = {"epochs": epochs}
    for name in ("digits", tones.NAME):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(digits | {"name": name}))


def last_day(nights: Nights) -> date:
    """Gives the day of the latest data interval that is over."""
    hour = (datetime.now(UTC).hour + 12) % 24
    now = datetime.now(UTC)
    ended = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return ((ended if ended <= now else ended - timedelta(days=1)) - timedelta(days=1)).date()


@contextmanager
def _environment(added: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


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
