"""Starting, stopping and looking at the stack as a whole."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from local import components, processes
from local.checks import check_machine, check_workspace
from local.components import Program, airflow_programs, mlflow_program
from local.databases import Databases
from local.environment import AirflowPorts, airflow_environment
from local.errors import StackBusyError, StackDownError
from local.keys import Secrets, load_secrets
from local.ports import free_ports
from local.postgres import EmbeddedPostgres
from local.processes import ProcessRecord, boot_id
from local.settings import Settings
from local.state import StackState, StateFile
from local.tables import ADDRESSES

LOCK_TIMEOUT = 240.0
"""Seconds to wait for another command that is starting or stopping the same stack."""


@dataclass(frozen=True)
class ComponentStatus:
    """One line of `status`.

    Attributes:
        name: The component.
        pid: Its process; None when it does not run.
        address: Where it listens, if it does.
        healthy: Whether it works.
    """

    name: str
    pid: int | None
    address: str | None
    healthy: bool


class Stack:
    """PostgreSQL, Airflow and MLflow of one workspace."""

    def __init__(self, settings: Settings, say: Callable[[str], None] = print) -> None:
        """Takes what the user asked for, and where to report what happens."""
        self.settings = settings
        self.file = StateFile(settings.folder)
        self._say = say

    @property
    def secrets(self) -> Secrets:
        """Passwords and keys of this stack."""
        return load_secrets(self.settings.folder)

    def up(self, *, owner: ProcessRecord | None = None, mlflow: bool = True) -> tuple[StackState, bool]:
        """Makes sure that the stack runs; what is left of a broken one is stopped first.

        Args:
            owner: The demo that will stop the stack again; None leaves it up.
            mlflow: Whether MLflow's UI is started too.

        Returns:
            The stack, and whether this call started it.

        Raises:
            AtollError: Something is missing, or a component does not start; nothing is left running then.
        """
        check_workspace(self.settings.workspace.root)
        with self.locked():
            state = self.file.read()
            if state is not None:
                if state.owner is not None and state.owner.alive():
                    raise StackBusyError("a demo is running on this stack; wait for it, or stop it with: make down")
                if state.owner is None and all(part.healthy for part in self.status()):
                    return state, False
                self._say("what is left of an earlier start is stopped first")
            self._stop()
            check_machine(self.settings)
            try:
                return self._start(owner, mlflow), True
            except BaseException:
                self._stop()
                raise

    def down(self) -> bool:
        """Stops everything, whatever state it is in.

        Returns:
            Whether anything ran.
        """
        if not self.settings.folder.exists():
            return False
        with self.locked():
            return self._stop()

    def status(self) -> list[ComponentStatus]:
        """Looks at every component of the stack that was started; an empty list when there is none."""
        state = self.file.read()
        if state is None:
            return []
        health = components.healthy(state.components, state.airflow_url)
        parts = [self._database_status(state)]
        for component in state.components:
            pid = component.process.pid if component.process.alive() else None
            parts.append(ComponentStatus(component.name, pid, component.url, health[component.name]))
        return parts

    def environment(self) -> dict[str, str]:
        """The environment of the stack that runs, for programs that a person starts beside it.

        Raises:
            StackDownError: It does not run.
        """
        state = self.file.read()
        if state is None:
            raise StackDownError("Atoll is down; accepted: a stack that runs, as after: make up")
        postgres = EmbeddedPostgres(self.settings.postgres, self.secrets.postgres_password)
        databases = postgres.start() if state.embedded else Databases(self.settings.database_url or "")
        ports = AirflowPorts(urlsplit(state.airflow_url).port or 0, *free_ports(2))
        environment = airflow_environment(self.settings, self.secrets, databases, ports, schedules=state.owner is None)
        mlflow = state.component("mlflow")
        return environment | ({"ATOLL_MLFLOW_URL": mlflow.url} if mlflow and mlflow.url else {})

    def _start(self, owner: ProcessRecord | None, mlflow: bool) -> StackState:
        settings = self.settings
        _private(settings)
        secrets = self.secrets
        databases = self._start_database(secrets)
        api, worker_logs, trigger_logs, free = free_ports(4)
        ports = AirflowPorts(settings.airflow_port or api, worker_logs, trigger_logs)
        environment = airflow_environment(settings, secrets, databases, ports, schedules=owner is None)
        state = StackState(
            boot=boot_id(),
            database=databases.address,
            embedded=settings.database_url is None,
            airflow_url=ports.url,
            owner=owner,
        )
        self.file.write(state)
        known = self._tables_are_known()
        if not known:
            self._upgrade_tables(environment, databases)
        if mlflow:  # it makes its own tables meanwhile
            program = mlflow_program(settings, databases, settings.mlflow_port or free)
            environment["ATOLL_MLFLOW_URL"] = program.url or ""
            state = self._launch(program, state)
        if not known:
            components.migrate(settings, environment)
            self._remember_tables()
        for program in airflow_programs(environment, ports.url):
            state = self._launch(program, state)
        components.wait_until_healthy(state.components, state.airflow_url, lambda name: self._say(f"{name} is healthy"))
        return state

    def _launch(self, program: Program, state: StackState) -> StackState:
        started = program.start(self.settings)
        state = state.model_copy(update={"components": [*state.components, started]})
        self.file.write(state)
        return state

    def _tables_are_known(self) -> bool:
        """Whether the embedded database's tables are those of what is installed."""
        return self._tables_file.exists() and self._tables_file.read_text() == _versions()

    def _remember_tables(self) -> None:
        if self.settings.database_url is None:
            self._tables_file.write_text(_versions())

    def _upgrade_tables(self, environment: Mapping[str, str], databases: Databases) -> None:
        """Brings the tables of MLflow and Optuna up to date, where there are any: new ones they make themselves."""
        older = sorted(ADDRESSES.keys() & set(databases.filled()))
        if older:
            components.upgrade_tables(self.settings, environment, older)

    @property
    def _tables_file(self) -> Path:
        return self.settings.postgres / "tables"  # vanishes with the data

    def _start_database(self, secrets: Secrets) -> Databases:
        if self.settings.database_url:
            databases = Databases(self.settings.database_url)
        else:
            databases = EmbeddedPostgres(self.settings.postgres, secrets.postgres_password).start()
        databases.create_missing()
        self._say(f"PostgreSQL is ready at {databases.address}")
        return databases

    def _stop(self) -> bool:
        state = self.file.read()
        records = [component.process for component in state.components] if state else []
        stopped = processes.stop(records, self.settings.marker)
        postgres = False
        if self.settings.postgres.exists():
            postgres = EmbeddedPostgres(self.settings.postgres, "").stop()
        shutil.rmtree(self.settings.spark / "scratch", ignore_errors=True)
        self.file.remove()
        return bool(stopped) or postgres

    def _database_status(self, state: StackState) -> ComponentStatus:
        if not state.embedded:
            databases = Databases(self.settings.database_url or f"postgresql://{state.database}")
            return ComponentStatus("postgres", None, state.database, databases.reachable())
        running = EmbeddedPostgres(self.settings.postgres, "").running()
        return ComponentStatus(
            "postgres", running.process.pid if running else None, state.database, running is not None
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other commands from starting or stopping this stack.

        Raises:
            StackBusyError: Another one has been at it for `LOCK_TIMEOUT` seconds.
        """
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.settings.folder / "stack.lock", timeout=LOCK_TIMEOUT):
                yield
        except Timeout:
            raise StackBusyError(
                f"another command has been starting or stopping this stack for {LOCK_TIMEOUT:.0f} s"
            ) from None


def _versions() -> str:
    """Names what makes tables, with its version."""
    return ", ".join(f"{name} {metadata.version(name)}" for name in ("apache-airflow-core", "mlflow", "optuna"))


def _private(settings: Settings) -> None:
    """Closes the stack's folder to others, except for passing through where PostgreSQL has an account of its own."""
    settings.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    for folder in (settings.airflow_home, settings.logs, settings.spark):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
