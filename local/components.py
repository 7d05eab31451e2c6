"""What runs: Airflow's four components and MLflow's server, how each is started and how its health is seen."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from pydantic import BaseModel, ConfigDict

from local import processes
from local.databases import Databases
from local.environment import base_environment
from local.errors import ComponentFailedError
from local.processes import ProcessRecord, last_lines
from local.settings import Settings, airflow_command, log_file

START_TIMEOUT = 300.0
"""Seconds until a component must be healthy; a cold disk and no byte code take a minute."""

AIRFLOW = {
    # The API server reads the logs of local tasks from their files: nobody asks a log server.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "api-server": ("api-server",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
"""Airflow's components and their command lines."""

MLFLOW = "mlflow"
"""Name of MLflow's server."""

_HEALTH_KEYS = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}


class Component(BaseModel):
    """A process that was started.

    Attributes:
        name: Its name.
        process: Which process it is.
        log: File of its output.
        url: Where it listens; None where it does not.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    process: ProcessRecord
    log: Path
    url: str | None = None


@dataclass(frozen=True)
class Program:
    """A component that can be started.

    Attributes:
        name: Its name.
        command: Its command line.
        environment: Its whole environment.
        url: Where it will listen; None where it does not.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str]
    url: str | None = None

    def start(self, settings: Settings) -> Component:
        """Starts it and returns at once."""
        log = log_file(settings, self.name)
        process = processes.start(self.command, self.environment, log, settings.airflow_home)
        return Component(name=self.name, process=ProcessRecord.of(process.pid), log=log, url=self.url)


def airflow_programs(environment: Mapping[str, str], url: str) -> list[Program]:
    """Airflow's components.

    Each is started by itself rather than by `airflow standalone`, whose parent is one more process of 150 MB, starts them
    one import later, and leaves them behind when it is killed.
    """
    return [
        Program(name, airflow_command(*arguments), environment, url if name == "api-server" else None)
        for name, arguments in AIRFLOW.items()
    ]


def mlflow_program(settings: Settings, databases: Databases, port: int) -> Program:
    """MLflow's UI on the same database that the jobs write to."""
    environment = base_environment(settings, databases) | {
        # In the environment, not among the arguments, where every user of the machine can read the password.
        "MLFLOW_BACKEND_STORE_URI": databases.mlflow,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "AIRFLOW_HOME": str(settings.airflow_home),
    }
    artifacts = settings.workspace.artifacts.as_uri()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--no-serve-artifacts", "--default-artifact-root", artifacts]
    return Program(MLFLOW, command, environment, f"http://127.0.0.1:{port}")


def migrate(settings: Settings, environment: Mapping[str, str]) -> None:
    """Creates or upgrades Airflow's tables.

    Raises:
        ComponentFailedError: `airflow db migrate` fails.
    """
    _finish(settings, environment, "airflow db migrate", "db-migrate", airflow_command("db", "migrate"))


def upgrade_tables(settings: Settings, environment: Mapping[str, str], names: Sequence[str]) -> None:
    """Upgrades the tables of MLflow, of Optuna, or of both, which do not do it by themselves.

    Raises:
        ComponentFailedError: They cannot be upgraded, for example because a later version has made them.
    """
    command = [sys.executable, "-m", "local.tables", *names]
    _finish(settings, environment, f"the upgrade of {' and '.join(names)}", "tables", command)


def _finish(
    settings: Settings, environment: Mapping[str, str], what: str, component: str, command: Sequence[str]
) -> None:
    log = log_file(settings, component)
    process = processes.start(command, environment, log, settings.airflow_home)
    try:
        status = process.wait(timeout=START_TIMEOUT)
    except subprocess.TimeoutExpired:
        status = -1
    if status:
        raise ComponentFailedError(f"{what} failed; the last lines of {log}:\n{last_lines(log)}")


def healthy(components: list[Component], airflow_url: str, since: datetime | None = None) -> dict[str, bool]:
    """Asks every component for its health.

    Args:
        components: What was started.
        airflow_url: Address of Airflow's API server, which knows about the components that do not listen.
        since: Heartbeats before this moment do not count: they are those of the previous, perhaps killed, components.
    """
    airflow = _airflow_health(airflow_url, since)
    health = {}
    for component in components:
        if not component.process.alive():
            health[component.name] = False
        elif component.name == MLFLOW:
            health[component.name] = component.url is not None and _answers(f"{component.url}/health")
        else:
            health[component.name] = airflow.get(component.name, False)
    return health


def wait_until_healthy(
    components: list[Component], airflow_url: str, seen: Callable[[str], None], timeout: float = START_TIMEOUT
) -> None:
    """Waits until every component is healthy.

    Args:
        components: What was started.
        airflow_url: Address of Airflow's API server.
        seen: Called with the name of each component as it becomes healthy.
        timeout: Seconds to wait.

    Raises:
        ComponentFailedError: A component ended, or is not healthy in time; says the last lines of its log.
    """
    deadline = time.monotonic() + timeout
    since = datetime.now(UTC)
    waiting = {component.name: component for component in components}
    while waiting:
        for name, fine in healthy(components, airflow_url, since).items():
            if fine and name in waiting:
                del waiting[name]
                seen(name)
        for name, component in waiting.items():
            ended = not component.process.alive()
            if ended or time.monotonic() > deadline:
                what = "ended while starting" if ended else f"was not healthy within {timeout:.0f} s"
                raise ComponentFailedError(
                    f"{name} {what}; the last lines of {component.log}:\n{last_lines(component.log)}"
                )
        if waiting:
            time.sleep(0.2)


def _airflow_health(url: str, since: datetime | None) -> dict[str, bool]:
    try:
        parts = json.loads(_get(f"{url}/api/v2/monitor/health"))
    except (OSError, HTTPException, ValueError):
        return {}
    health = {"api-server": parts.get("metadatabase", {}).get("status") == "healthy"}
    for name, key in _HEALTH_KEYS.items():
        part = parts.get(key, {})
        beat = part.get(f"latest_{key}_heartbeat")
        fresh = since is None or (beat is not None and datetime.fromisoformat(beat) >= since)
        health[name] = part.get("status") == "healthy" and fresh
    return health


def _answers(url: str) -> bool:
    try:
        _get(url)
    except (OSError, HTTPException):
        return False
    return True


def _get(url: str) -> bytes:
    """Asks a server on this machine, past any proxy; polled so often that a larger client would cost a core."""
    answer: bytes = build_opener(ProxyHandler({})).open(url, timeout=5).read()
    return answer
