"""Airflow's own API server on a free port, with the pages in it, for tests and measurements."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from jobs.workspace import Workspace
from local.ports import free_ports
from tests.local.support import REPOSITORY, poll

USERS = {"admin": "admin", "editor": "user", "viewer": "viewer", "stranger": ""}
"""Names, which are the passwords too, and roles in Airflow's simple login; a stranger has a login and no permission."""

SECRET = "of these tests"
"""What the server signs forms with."""


_PREPARE = """
from airflow.cli.cli_parser import get_parser
for command in (["db", "migrate"], ["dags", "reserialize"]):
    asked = get_parser().parse_args(command)
    asked.func(asked)
"""
"""One process for both, since each imports Airflow for seconds."""


@dataclass(frozen=True)
class Server:
    """A running API server.

    Attributes:
        url: Its address.
        workspace: What its pages show.
        process: Number of its first process.
    """

    url: str
    workspace: Workspace
    process: int

    def token(self, user: str) -> str:
        answer = httpx.post(f"{self.url}/auth/token", json={"username": user, "password": user}, timeout=30)
        return str(answer.raise_for_status().json()["access_token"])

    def visitor(self, user: str | None) -> httpx.Client:
        """A browser's client, logged in by Airflow's cookie; None has no login."""
        cookies = {"_token": self.token(user)} if user else {}
        return httpx.Client(base_url=f"{self.url}/atoll", cookies=cookies, timeout=60, headers={"accept": "text/html"})


def environment(home: Path, workspace: Workspace, port: int) -> dict[str, str]:
    """Settings of an API server of its own, with three users."""
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({name: name for name in USERS}))
    options = {
        "API__BASE_URL": f"http://127.0.0.1:{port}",
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__SECRET_KEY": SECRET,
        "API_AUTH__JWT_SECRET": "of these tests, and as long as the algorithm wants it to be: 64 bytes",
        "CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in USERS.items()),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ATOLL_", "AIRFLOW", "MLFLOW"))}
    return clean | {
        "AIRFLOW_HOME": str(home),
        # Without byte code everything starts at half the speed; here is a place for it beside no source.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(home / "bytecode"),
        "ATOLL_HOME": str(workspace.root),
        "PYTHONPATH": str(REPOSITORY),
        **{f"AIRFLOW__{name}": value for name, value in options.items()},
    }


@contextmanager
def api_server(home: Path, workspace: Workspace) -> Iterator[Server]:
    """Starts a server whose own files are in a folder, and stops it."""
    (port,) = free_ports(1)
    settings = environment(home, workspace, port)
    airflow = [sys.executable, "-m", "airflow"]
    subprocess.run(
        [sys.executable, "-c", _PREPARE], env=settings, cwd=home, check=True, capture_output=True, timeout=300
    )
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*airflow, "api-server"], env=settings, cwd=home, stdout=log, stderr=log, start_new_session=True
        )
    try:
        running = Server(f"http://127.0.0.1:{port}", workspace, process.pid)
        poll(lambda: _answers(running), seconds=180)
        yield running
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def _answers(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/api/v2/monitor/health", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
