"""What the user asked for, read once from the environment, and where the stack keeps its files."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from jobs.errors import InvalidArgumentError
from jobs.workspace import REPOSITORY, Workspace

MAX_LOCAL_CORES = 4
"""Cores that the default local master takes at most: one trial after the other uses them all."""

_MASTER = re.compile(r"local(\[(\*|[1-9]\d*)(,\s*\d+)?\])?|spark://[^\s/:,]+:\d+(,[^\s/:,]+:\d+)*")


@dataclass(frozen=True)
class Settings:
    """The stack that the environment asks for.

    Attributes:
        workspace: Where data, studies and labels go.
        spark_master: `local[N]` or `spark://host:port`.
        airflow_port: Port of Airflow's UI; None takes a free one.
        mlflow_port: Port of MLflow's UI; None takes a free one.
        database_url: The user's own PostgreSQL server; None starts the embedded one.
        dags: Folder of DAG files.
        plugins: Folder of Airflow plugins.
        experiments: Folder of experiment files.
    """

    workspace: Workspace
    spark_master: str
    airflow_port: int | None
    mlflow_port: int | None
    database_url: str | None
    dags: Path
    plugins: Path
    experiments: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Reads the variables whose names start with `ATOLL_`.

        Raises:
            InvalidArgumentError: One of them has a value that cannot be used.
        """
        return cls(
            workspace=Workspace.open(environment.get("ATOLL_HOME")),
            spark_master=_spark_master(environment.get("ATOLL_SPARK_MASTER")),
            airflow_port=_port(environment, "ATOLL_PORT"),
            mlflow_port=_port(environment, "ATOLL_MLFLOW_PORT"),
            database_url=_database_url(environment.get("ATOLL_DATABASE_URL")),
            dags=_folder(environment, "ATOLL_DAGS", "dags"),
            plugins=_folder(environment, "ATOLL_PLUGINS", "plugins"),
            experiments=_folder(environment, "ATOLL_EXPERIMENTS", "experiments"),
        )

    @property
    def folder(self) -> Path:
        """Folder of everything that the stack itself writes."""
        return self.workspace.root / "stack"

    @property
    def marker(self) -> str:
        """Value of `ATOLL_STACK` in the environment of every process of this stack, by which orphans are found."""
        return str(self.folder)

    @property
    def airflow_home(self) -> Path:
        """Airflow's home, and the working folder of its components."""
        return self.folder / "airflow"

    @property
    def logs(self) -> Path:
        """Folder with one log file per component."""
        return self.folder / "logs"

    @property
    def postgres(self) -> Path:
        """Folder of the embedded PostgreSQL: its data and its log."""
        return self.folder / "postgres"

    @property
    def spark(self) -> Path:
        """Folder of Spark's defaults and of its scratch files."""
        return self.folder / "spark"


def log_file(settings: Settings, component: str) -> Path:
    """Where a component's output goes."""
    return settings.logs / f"{component}.log"


def airflow_command(*arguments: str) -> list[str]:
    """Airflow's command line in this very environment, whatever PATH says."""
    return [sys.executable, "-m", "airflow", *arguments]


def _spark_master(value: str | None) -> str:
    master = (value or "").strip() or f"local[{min(os.cpu_count() or 1, MAX_LOCAL_CORES)}]"
    if not _MASTER.fullmatch(master):
        raise InvalidArgumentError(
            f"ATOLL_SPARK_MASTER: {master!r} is not a Spark master; accepted: local[N], local[*] or spark://HOST:PORT"
        )
    return master


def _port(environment: Mapping[str, str], name: str) -> int | None:
    value = environment.get(name, "").strip()
    if not value:
        return None
    if not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise InvalidArgumentError(f"{name}: {value!r} is not a port; accepted: 1 to 65535, or unset for a free one")
    return int(value)


def _database_url(value: str | None) -> str | None:
    if not value or not value.strip():
        return None
    try:
        parts = urlsplit(value.strip())
        known = parts.scheme in ("postgresql", "postgres") and bool(parts.hostname) and (parts.port or 5432) > 0
    except ValueError:
        known = False
    if not known:  # the value may hold a password: it is not repeated
        raise InvalidArgumentError(
            "ATOLL_DATABASE_URL: not the address of a PostgreSQL server; accepted: postgresql://USER:PASSWORD@HOST:PORT"
        )
    return value.strip()


def _folder(environment: Mapping[str, str], name: str, default: str) -> Path:
    folder = Path(environment.get(name) or REPOSITORY / default).expanduser().resolve()
    if not folder.is_dir():
        raise InvalidArgumentError(f"{name}: {str(folder)!r} is not a folder")
    return folder
