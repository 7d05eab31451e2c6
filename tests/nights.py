"""A stack as a team runs it every night, for tests: its schedules on, its DAGs with small images and small networks."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import yaml

from jobs.workspace import REPOSITORY, Workspace
from local.environment import USER
from local.rest import Airflow
from local.runs import wait_for_dags
from local.settings import Settings
from local.stack import Stack
from tests import tones
from tests.airflow_rest import AirflowRest


class Nights(AirflowRest):
    """A running stack, seen by its admin over REST, by the command line and by files."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.log_in()

    def log_in(self) -> None:
        """To be done again after each start, which may have given other ports."""
        state = self.stack.file.read()
        assert state is not None
        self.airflow = Airflow(state.airflow_url, USER, self.stack.secrets.admin_password)
        self.connect(state.airflow_url, USER, self.stack.secrets.admin_password)

    @property
    def workspace(self) -> Workspace:
        return self.stack.settings.workspace

    def cli(self, *words: str) -> str:
        """Runs `python -m local airflow WORDS`, as a person would."""
        done = subprocess.run(
            [sys.executable, "-m", "local", "airflow", *words],
            cwd=REPOSITORY,
            env=os.environ | {"ATOLL_HOME": str(self.workspace.root)} | self._own_settings(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _own_settings(self) -> dict[str, str]:
        settings = self.stack.settings
        return {"ATOLL_SPARK_MASTER": settings.spark_master, "ATOLL_EXPERIMENTS": str(settings.experiments)}


@contextmanager
def started(folder: Path, master: str = "local[1]", epochs: int = 10) -> Iterator[Nights]:
    """Starts a stack whose schedules begin half a day away from now, and stops it."""
    hour = (datetime.now(UTC).hour + 12) % 24
    schedule = f"0 {hour} * * *"
    experiments = folder / "experiments"
    write_experiments(experiments, epochs)
    settings = Settings.from_environment(
        {"ATOLL_HOME": str(folder / "home"), "ATOLL_SPARK_MASTER": master, "ATOLL_EXPERIMENTS": str(experiments)}
    )
    stack = Stack(settings, lambda line: None)
    with _environment({"ATOLL_TUNE_SCHEDULE": schedule, "ATOLL_LABEL_SCHEDULE": schedule}):
        try:
            stack.up(mlflow=False)
            nights = Nights(stack)
            wait_for_dags(nights.airflow, ["tune_model", "label_images", "roll_back_model"], None)
            yield nights
            nights.airflow.close()
        finally:
            stack.down()


def write_experiments(folder: Path, epochs: int) -> None:
    """Writes a small search on the digits, and the experiment whose model the tests make themselves."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = yaml.safe_load((REPOSITORY / "experiments" / "digits.yaml").read_text())
    digits["search"] = {"learning_rate": [0.003, 0.01], "neurons": [32]}
    digits["budget"] = {"epochs": epochs}
    for name in ("digits", tones.NAME):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(digits | {"name": name}))


def last_day(nights: Nights) -> date:
    """Gives the day of the latest data interval that is over."""
    hour = (datetime.now(UTC).hour + 12) % 24
    now = datetime.now(UTC)
    ended = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return ((ended if ended <= now else ended - timedelta(days=1)) - timedelta(days=1)).date()


@contextmanager
def _environment(added: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
