"""A Docker engine: the one of this machine, or one that a tool starts for the tests."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from jobs.workspace import REPOSITORY
from tests.docker.containers import containers
from tests.docker.works import Site
from tests.nights import write_experiments

STARTER = Path(os.environ.get("ATOLL_TEST_DOCKER", REPOSITORY.parent / "shared" / "tools" / "local-docker"))
"""A program with the commands `up`, `env` (prints exports) and `down`, for machines without an engine."""

WORKSPACE = {"driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=600m,uid=10001,gid=10001,mode=0750"}}
"""A workspace that can be full without the machine being so."""


@pytest.fixture(scope="session")
def engine() -> Iterator[dict[str, str]]:
    """Gives the environment in which `docker` reaches an engine."""
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        yield dict(os.environ)
        return
    if not STARTER.exists():
        pytest.skip("no Docker engine answers; set ATOLL_TEST_DOCKER to a program that starts one")
    started = subprocess.run([STARTER, "up"], capture_output=True, text=True, timeout=900, check=False)
    try:
        if started.returncode:
            pytest.skip(f"no Docker engine can run here: {started.stderr.strip().splitlines()[-1]}")
        exports = subprocess.run(
            ["bash", "-c", f'eval "$({STARTER} env)"; env -0'], capture_output=True, text=True, check=True
        )
        yield dict(line.split("=", 1) for line in exports.stdout.split("\0") if "=" in line)
    finally:
        subprocess.run([STARTER, "down"], capture_output=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def site(engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A cluster with two Spark workers, whose search takes some seconds for each trial."""
    with (
        containers(engine, tmp_path_factory.mktemp("site"), workers=2, prepare=prepare) as running,
        closing(Site(running)) as opened,
    ):
        yield opened


def prepare(copy: Path) -> None:
    """Gives the copy small experiments, and a workspace of its own size."""
    write_experiments(copy / "experiments", epochs=300)
    compose = copy / "docker" / "compose.yaml"
    asked = yaml.safe_load(compose.read_text())
    asked["volumes"]["workspace"] = WORKSPACE
    compose.write_text(yaml.safe_dump(asked))
