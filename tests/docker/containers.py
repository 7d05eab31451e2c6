"""A cluster of docker/compose.yaml that tests have to themselves: started from a copy of this checkout, and what breaks it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobs.workspace import REPOSITORY
from local.ports import free_ports
from tests.local.support import poll

PORTS = ("ATOLL_PORT", "ATOLL_MLFLOW_PORT", "ATOLL_SPARK_PORT", "ATOLL_HISTORY_PORT")

KILL_ALL = """
import os, signal
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) not in (1, os.getpid()):
        os.kill(int(name), signal.SIGKILL)
"""
"""Kills what a container runs, as its kernel would for want of memory; its init ends, and the engine starts it again."""


@dataclass(frozen=True)
class Containers:
    """A cluster that is up.

    Attributes:
        script: `cluster.py` of a copy of the repository, whose secrets are its own.
        environment: In which `docker` reaches the engine.
        project: Name of its containers.
    """

    script: Path
    environment: dict[str, str]
    project: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `cluster.py`."""
        return self.command(sys.executable, str(self.script), *arguments)

    def inside(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in the first container of a service."""
        return self.command("docker", "exec", self.of(service)[0], *command)

    def of(self, service: str) -> list[str]:
        """Gives the names of a service's containers, running or not, in their order."""
        wanted = {"project": self.project, "service": service}
        filters = [
            word for key, value in wanted.items() for word in ("--filter", f"label=com.docker.compose.{key}={value}")
        ]
        return sorted(self.docker("ps", "--all", "--format", "{{.Names}}", *filters).split())

    def docker(self, *arguments: str) -> str:
        """Runs `docker`, which must succeed, and gives what it prints."""
        done = self.command("docker", *arguments)
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def crash(self, container: str) -> None:
        """Kills all that a container runs; its restart policy brings it back."""
        before = self.started(container)
        self.command("docker", "exec", container, "python", "-c", KILL_ALL)
        poll(lambda: self.started(container) != before or self.status(container) != "running", 20)

    def started(self, container: str) -> str:
        """Gives since when a container runs."""
        return self.docker("inspect", "--format", "{{.State.StartedAt}}", container).strip()

    def status(self, container: str) -> str:
        """Gives `running`, `restarting`, `exited`, `paused`, ..."""
        return self.docker("inspect", "--format", "{{.State.Status}}", container).strip()

    def unwell(self) -> list[str]:
        """Gives the containers that should be up and are not healthy."""
        label = f"label=com.docker.compose.project={self.project}"
        names = self.docker("ps", "--all", "--quiet", "--filter", label).split()
        found = json.loads(self.docker("inspect", *names))
        return [
            one["Name"].lstrip("/")
            for one in found
            if one["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
            and one["State"].get("Health", {}).get("Status") != "healthy"
        ]

    def settings(self) -> dict[str, str]:
        """Gives what `.env` holds."""
        lines = (self.script.parent / ".env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    @property
    def network(self) -> str:
        """The network that the containers share."""
        return f"{self.project}_default"

    def command(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs any command where `docker` reaches the engine."""
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=1800, check=False)


@contextmanager
def containers(
    engine: Mapping[str, str], folder: Path, workers: int, prepare: Callable[[Path], None] = lambda copy: None
) -> Iterator[Containers]:
    """Builds and starts a cluster from a copy of this checkout, and removes it with all that it wrote.

    Args:
        engine: Environment in which `docker` reaches an engine.
        folder: Where the copy goes.
        workers: Containers of Spark workers.
        prepare: What to change in the copy before it is built.
    """
    copy = folder / "atoll"
    ignored = shutil.ignore_patterns(".git", ".venv*", "var", "*.env", "*_cache", "__pycache__")
    shutil.copytree(REPOSITORY, copy, ignore=ignored)
    prepare(copy)
    project = f"atolltest{os.getpid()}"
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    named = {"COMPOSE_PROJECT_NAME": project, "ATOLL_VERSION": project}
    # Unpausing a DAG that has a schedule begins its last night at once, which would take as long again.
    by_hand = {"ATOLL_TUNE_SCHEDULE": "none", "ATOLL_LABEL_SCHEDULE": "none"}
    running = Containers(copy / "docker" / "cluster.py", {**engine, **ports, **named, **by_hand}, project)
    try:
        up = running.run("up", "--workers", str(workers))
        assert up.returncode == 0, up.stdout + up.stderr
        assert f"Atoll is up on {workers} Spark workers" in up.stdout
        yield running
    finally:
        running.run("down", "--volumes")
        running.command("docker", "image", "rm", "--force", f"atoll:{project}")
