"""A Docker engine: the one of this machine, or one that a tool starts for the tests."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.workspace import REPOSITORY

STARTER = Path(os.environ.get("ATOLL_TEST_DOCKER", REPOSITORY.parent / "shared" / "tools" / "local-docker"))
"""A program with the commands `up`, `env` (prints exports) and `down`, for machines without an engine."""


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
