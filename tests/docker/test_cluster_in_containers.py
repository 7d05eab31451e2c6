"""The cluster in containers, really started: the demonstration on two Spark workers, and who may not use Spark."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.workspace import REPOSITORY
from local.ports import free_ports

pytestmark = [pytest.mark.stack, pytest.mark.timeout(2400)]

PORTS = ("ATOLL_PORT", "ATOLL_MLFLOW_PORT", "ATOLL_SPARK_PORT", "ATOLL_HISTORY_PORT")


@dataclass(frozen=True)
class Cluster:
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
        return self._run(sys.executable, str(self.script), *arguments)

    def inside(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in a container of a service."""
        wanted = {"project": self.project, "service": service}
        filters = [
            word for key, value in wanted.items() for word in ("--filter", f"label=com.docker.compose.{key}={value}")
        ]
        container = self._run("docker", "ps", "--quiet", *filters).stdout.split()[0]
        return self._run("docker", "exec", container, *command)

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=1800, check=False)


@pytest.fixture(scope="module")
def cluster(engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Built from a copy of this checkout, and removed with all that it wrote."""
    copy = tmp_path_factory.mktemp("cluster") / "atoll"
    shutil.copytree(
        REPOSITORY, copy, ignore=shutil.ignore_patterns(".git", ".venv*", "var", ".env", "*_cache", "__pycache__")
    )
    project = f"atolltest{os.getpid()}"
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    named = {"COMPOSE_PROJECT_NAME": project, "ATOLL_VERSION": project}
    # Unpausing a DAG that has a schedule begins its last night at once, which would take as long again.
    by_hand = {"ATOLL_TUNE_SCHEDULE": "none", "ATOLL_LABEL_SCHEDULE": "none"}
    running = Cluster(copy / "docker" / "cluster.py", engine | ports | named | by_hand, project)
    try:
        up = running.run("up", "--workers", "2")
        assert up.returncode == 0, up.stdout + up.stderr
        assert "Atoll is up on 2 Spark workers" in up.stdout
        yield running
    finally:
        running.run("down", "--volumes")
        running._run("docker", "image", "rm", "--force", f"atoll:{project}")


def test_the_demonstration_runs_on_it(cluster: Cluster) -> None:
    demo = cluster.run("demo")
    assert demo.returncode == 0, demo.stdout[-4000:] + demo.stderr[-4000:]
    assert "Labelled 179 of 185 images" in demo.stdout


def test_its_secrets_are_readable_by_their_owner_alone(cluster: Cluster) -> None:
    secrets = cluster.script.parent / ".env"
    assert secrets.stat().st_mode & 0o777 == 0o600


def test_only_who_knows_the_secret_can_use_spark(cluster: Cluster) -> None:
    script = 'from pyspark import SparkContext\\nprint("counted", SparkContext().range(3).count())\\n'
    submit = "timeout 90 spark-submit --master spark://spark-master:7077 --conf spark.executor.cores=1 /tmp/count.py"
    written = cluster.inside("scheduler", "sh", "-c", f"printf '{script}' > /tmp/count.py")
    assert written.returncode == 0
    known = cluster.inside("scheduler", "sh", "-c", submit)
    assert "counted 3" in known.stdout, known.stderr[-3000:]
    unknown = cluster.inside("scheduler", "sh", "-c", f"SPARK_CONF_DIR=/tmp {submit}")
    assert unknown.returncode != 0
    assert "counted 3" not in unknown.stdout  # a traceback quotes the script


def test_spark_has_no_door_beside_the_one_that_asks_for_the_secret(cluster: Cluster) -> None:
    connect = "import socket; socket.create_connection(('spark-master', 6066), 5)"
    refused = cluster.inside("scheduler", "python", "-c", connect)
    assert "ConnectionRefusedError" in refused.stderr
    read = "import urllib.request as r; print(r.urlopen('http://spark-master:8080/environment').read().decode())"
    page = cluster.inside("scheduler", "python", "-c", read)
    secret = next(
        line.removeprefix("ATOLL_SPARK_SECRET=")
        for line in (cluster.script.parent / ".env").read_text().splitlines()
        if line.startswith("ATOLL_SPARK_SECRET=")
    )
    assert "spark.authenticate" in page.stdout
    assert secret not in page.stdout
