"""What the demo asks of Airflow, as any outside caller would: over its REST interface."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import airflow_client.client as airflow_api
import httpx
import pydantic
import urllib3
from pydantic_core import to_json

from local.errors import AirflowRequestError

TIMEOUT = 60.0
"""Seconds to wait for an answer."""

ENDED_WELL = ("success", "skipped")
"""States of a task or run that need nobody's attention."""

ENDED = (*ENDED_WELL, "failed", "upstream_failed", "removed")
"""States in which a task or run stays."""

_Model = TypeVar("_Model", bound=pydantic.BaseModel)


@dataclass(frozen=True)
class Run:
    """One DAG run.

    Attributes:
        dag: Its DAG.
        id: Its identifier.
        state: `queued`, `running`, `success` or `failed`.
        run_after: The moment that a run triggered by hand takes the place of a data interval from.
    """

    dag: str
    id: str
    state: str
    run_after: datetime


@dataclass(frozen=True)
class Night:
    """A run for which a DAG is due by its schedule.

    Attributes:
        logical_date: Airflow's name for it; no other run of the DAG can have the same.
        start: Begin of its data interval.
        end: End of its data interval.
    """

    logical_date: datetime
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Task:
    """One task of a run, as it is now.

    Attributes:
        name: Its identifier.
        state: Airflow's word for it; `none` before it is scheduled.
        attempt: 1 for the first, 0 before it.
        seconds: How long this attempt has taken; None before it starts.
    """

    name: str
    state: str
    attempt: int
    seconds: float | None

    @property
    def ended(self) -> bool:
        """Whether it stays in its state."""
        return self.state in ENDED


class _Raised(pydantic.BaseModel):
    exc_type: str = ""
    exc_value: str = ""


class _LogMessage(pydantic.BaseModel):
    event: str
    error_detail: list[_Raised] = []

    def lines(self) -> list[str]:
        return [self.event, *(f"{raised.exc_type}: {raised.exc_value}" for raised in self.error_detail)]


class _LogContent(pydantic.BaseModel):
    content: list[_LogMessage]


class Airflow:
    """A logged-in user of Airflow's REST interface."""

    def __init__(self, url: str, user: str, password: str) -> None:
        """Logs in.

        Raises:
            AirflowRequestError: Airflow does not answer or refuses the password.
        """
        try:
            answer = httpx.post(
                f"{url}/auth/token", json={"username": user, "password": password}, timeout=TIMEOUT, trust_env=False
            )
            token = answer.raise_for_status().json()["access_token"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise AirflowRequestError(f"Airflow at {url}: no token for {user!r} ({error})") from None
        self._client = airflow_api.ApiClient(airflow_api.Configuration(host=url, access_token=token))
        self._dags = airflow_api.DAGApi(self._client)
        self._runs = airflow_api.DagRunApi(self._client)
        self._tasks = airflow_api.TaskInstanceApi(self._client)

    def dags(self, since: datetime | None = None) -> set[str]:
        """The DAGs that Airflow has read, of those only the ones read after `since`."""
        with _one_line("list the DAGs"):
            known = self._dags.get_dags(limit=100, exclude_stale=True).dags
        return {
            dag.dag_id for dag in known if since is None or (dag.last_parsed_time and dag.last_parsed_time >= since)
        }

    def paused(self, dag: str) -> bool:
        """Whether a DAG is paused."""
        with _one_line(f"look at {dag}"):
            return bool(self._dags.get_dag(dag).is_paused)

    def first_night(self, dag: str) -> Night | None:
        """The night with which a DAG begins as soon as it is not paused; None where it is not, or has had a night before."""
        with _one_line(f"look at {dag}"):
            due = self._dags.get_dag(dag)
            night, since = due.next_dagrun_logical_date, due.next_dagrun_run_after
            if not due.is_paused or night is None or since > datetime.now(UTC):
                return None
            had = self._runs.get_dag_runs(dag, run_type=["scheduled"], limit=1).dag_runs
            taken = self._runs.get_dag_runs(dag, logical_date_gte=night, logical_date_lte=night, limit=1).dag_runs
        if had or taken:
            return None
        return Night(night, due.next_dagrun_data_interval_start, due.next_dagrun_data_interval_end)

    def import_errors(self) -> dict[str, str]:
        """The DAG files that Airflow cannot import: the last line of each one's stack trace, by file."""
        with _one_line("list import errors"):
            errors = airflow_api.ImportErrorApi(self._client).get_import_errors().import_errors
        return {error.filename: error.stack_trace.strip().splitlines()[-1] for error in errors}

    def pause(self, dag: str, paused: bool) -> None:
        """Pauses a DAG, or lets it run."""
        with _one_line(f"pause or unpause {dag}"):
            self._dags.patch_dag(dag, airflow_api.DAGPatchBody(is_paused=paused), update_mask=["is_paused"])

    def trigger(self, dag: str, run: str, conf: dict[str, str | int | None], instead_of: Night | None = None) -> Run:
        """Starts a run by hand, now.

        Args:
            dag: The DAG.
            run: The run's identifier.
            conf: Its parameters.
            instead_of: The night whose place it takes, so that Airflow begins no run of its own for it; None for a run without
                a data interval.
        """
        body = airflow_api.TriggerDAGRunPostBody(
            dag_run_id=run,
            logical_date=instead_of and instead_of.logical_date,
            data_interval_start=instead_of and instead_of.start,
            data_interval_end=instead_of and instead_of.end,
            run_after=datetime.now(UTC),
            conf=conf,
        )
        with _one_line(f"trigger {dag}"):
            return _run(self._runs.trigger_dag_run(dag, body))

    def active_runs(self, dag: str, prefix: str = "") -> list[Run]:
        """The runs of a DAG that have not ended and whose identifiers begin with `prefix`."""
        with _one_line(f"list the runs of {dag}"):
            found = self._runs.get_dag_runs(dag, state=["queued", "running"], limit=100).dag_runs
        return [_run(run) for run in found if run.dag_run_id.startswith(prefix)]

    def fail(self, run: Run) -> None:
        """Ends a run as failed, which also ends its tasks."""
        body = airflow_api.DAGRunPatchBody(state=airflow_api.DagRunMutableStates.FAILED)
        with _one_line(f"end {run.dag}"):
            self._runs.patch_dag_run(run.dag, run.id, body, update_mask=["state"])

    def run(self, run: Run) -> Run:
        """Looks at a run again."""
        with _one_line(f"look at {run.dag}"):
            return _run(self._runs.get_dag_run(run.dag, run.id))

    def tasks(self, run: Run) -> list[Task]:
        """The tasks of a run, in the order in which they start."""
        with _one_line(f"list the tasks of {run.dag}"):
            found = self._tasks.get_task_instances(run.dag, run.id).task_instances
        latest = datetime.max.replace(tzinfo=UTC)
        return [_task(task) for task in sorted(found, key=lambda task: task.start_date or latest)]

    def log(self, run: Run, task: Task) -> list[str]:
        """The lines of a task's log, as far as it has come."""
        with _one_line(f"read the log of {run.dag}.{task.name}"):
            # Unparsed: the client's own model of a log message drops the exceptions that it carries.
            answer = self._tasks.get_log_without_preload_content(
                run.dag, run.id, task.name, max(task.attempt, 1), accept="application/json"
            )
            if answer.status != 200:
                raise airflow_api.ApiException.from_response(http_resp=answer, body=answer.data.decode(), data=None)
            content = _LogContent.model_validate_json(answer.data).content
        return [text for message in content for text in message.lines()]

    def result(self, run: Run, task: str, model: type[_Model]) -> _Model:
        """What a task has returned, checked against the model that it should be.

        Raises:
            AirflowRequestError: There is nothing, or it is something else.
        """
        with _one_line(f"read the result of {run.dag}.{task}"):
            answer = airflow_api.XComApi(self._client).get_xcom_entry(run.dag, task, run.id, "return_value")
        value = answer.actual_instance.value if answer.actual_instance else None
        try:
            return model.model_validate_json(value if isinstance(value, str) else to_json(value))
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            raise AirflowRequestError(
                f"{run.dag}.{task}: its result is no {model.__name__}: {first['loc']}: {first['msg']}"
            ) from None

    def close(self) -> None:
        """Drops the open connections, for which the API server would wait when it is stopped."""
        self._client.rest_client.pool_manager.clear()


def _run(answer: Any) -> Run:
    return Run(answer.dag_id, answer.dag_run_id, str(getattr(answer.state, "value", answer.state)), answer.run_after)


def _task(answer: Any) -> Task:
    state = getattr(answer.state, "value", answer.state) or "none"
    seconds = None
    if answer.start_date is not None:
        seconds = ((answer.end_date or datetime.now(UTC)) - answer.start_date).total_seconds()
    return Task(answer.task_id, str(state), answer.try_number, seconds)


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    """Turns the client's errors, some of which span a page, into one line."""
    try:
        yield
    except airflow_api.ApiException as error:
        raise AirflowRequestError(f"Airflow refused to {what}: {error.status} {error.reason} {error.body}") from None
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise AirflowRequestError(f"Airflow did not {what}: {type(error).__name__}: {error}") from None
