"""What several tests of the local stack use."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DAGS = Path(__file__).resolve().parent / "dags"


@dataclass(frozen=True)
class CommandLine:
    """`python -m local` in a workspace."""

    home: Path
    settings: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        foreign = ("ATOLL_", "AIRFLOW", "MLFLOW")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return clean | {"ATOLL_HOME": str(self.home)} | self.settings

    def run(self, command: str, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "local", command, *arguments],
            cwd=REPOSITORY,
            env=self.environment | settings,
            text=True,
            capture_output=True,
            timeout=600,
            check=False,
        )


def poll(condition: Callable[[], object], seconds: float = 60.0, every: float = 0.1) -> object:
    """Waits until `condition` gives something true, and gives it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(every)
    raise AssertionError(f"{condition} did not come true within {seconds:.0f} s")
