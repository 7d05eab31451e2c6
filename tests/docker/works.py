"""A run of a DAG in the middle of its work on a cluster in containers, and what must come of it whatever breaks."""

import json
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import date

import httpx

from jobs.workspace import REPOSITORY
from local.environment import USER
from tests import tones
from tests.airflow_rest import AirflowRest
from tests.docker.containers import Containers
from tests.local.support import poll

logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each look at a run

PLACE = "/tmp/probing/tests"

LONG = 900.0
"""Seconds until a run that was hit has ended: until it is noticed, the wait for another attempt, and the work."""


class Site(AirflowRest):
    """A cluster in containers with the model of `tones.py`, seen over REST and from within.

    Attributes:
        containers: The cluster.
        helper: A container beside it, from which the tests look at the workspace, and which nothing breaks.
        version: The champion of the tones, as `ModelVersion` has it.
    """

    def __init__(self, containers: Containers) -> None:
        self.containers = containers
        self.log_in()
        self.helper = f"{containers.project}-helper"
        tracking = f"postgresql://atoll:{containers.settings()['POSTGRES_PASSWORD']}@postgres:5432/mlflow"
        containers.docker(
            "run", "--detach", "--name", self.helper, "--network", containers.network,
            "--volume", f"{containers.project}_workspace:/data", "--env", f"MLFLOW_TRACKING_URI={tracking}",
            f"atoll:{containers.project}", "sleep", "infinity",
        )  # fmt: skip
        containers.docker("exec", self.helper, "mkdir", "-p", f"{PLACE}/docker")
        for name in ("tones.py", "docker/probe.py"):
            containers.docker("cp", str(REPOSITORY / "tests" / name), f"{self.helper}:{PLACE}/{name}")
        self.version = self.probe("version", "1")
        for dag in ("tune_model", "label_images"):
            poll(lambda dag=dag: self.rest.get(f"/dags/{dag}").is_success, 120)
            self.ask("PATCH", f"/dags/{dag}?update_mask=is_paused", {"is_paused": False})

    def close(self) -> None:
        """Removes the container of its own."""
        self.rest.close()
        self.containers.docker("rm", "--force", self.helper)

    def log_in(self) -> None:
        settings, environment = self.containers.settings(), self.containers.environment
        self.connect(f"http://127.0.0.1:{environment['ATOLL_PORT']}", USER, settings["ATOLL_ADMIN_PASSWORD"])

    def answers(self) -> bool:
        """Tells whether Airflow lets its admin in."""
        try:
            self.log_in()
        except (httpx.HTTPError, KeyError, ValueError):
            return False
        return True

    def probe(self, *arguments: str) -> object:
        """Runs `probe.py` in a container and gives its answer."""
        done = self.containers.docker("exec", self.helper, "python", f"{PLACE}/docker/probe.py", *arguments)
        return json.loads(done.splitlines()[-1])["answer"]

    def sees(self, pattern: str) -> bool:
        """Tells whether the workspace holds a path."""
        found = self.containers.command("docker", "exec", self.helper, "sh", "-c", f"ls -d /data/{pattern}")
        return found.returncode == 0

    def free_day(self, first: date = date(2026, 4, 1)) -> date:
        """Gives the first day that nobody has used."""
        listed = self.containers.command("docker", "exec", self.helper, "ls", f"/data/image_sets/{tones.NAME}")
        used, day = listed.stdout.split(), first
        while f"ds={day}" in used:
            day = date.fromordinal(day.toordinal() + 1)
        return day

    def wrong(self, days: Sequence[date]) -> list[str]:
        """Says what is wrong with what readers find of some days."""
        listed = ",".join(map(str, days))
        return self.probe("wrong", listed, json.dumps(self.version))  # type: ignore[return-value]


class Work(ABC):
    """One run.

    Attributes:
        task: The DAG, and its task that works on Spark.
        run: Identifier of the run.
    """

    task: str
    run: str

    def __init__(self, site: Site) -> None:
        self.site = site

    @abstractmethod
    def begin(self) -> None:
        """Starts the run, and returns when it is at work on the executors."""

    @abstractmethod
    def lost(self) -> list[str]:
        """Says what is missing, double or wrong after the run has ended."""

    def attempts(self) -> int:
        """How often Airflow has started the task that works on Spark."""
        return self.site.tasks(self.task, self.run)[self.task].attempt


class Tuning(Work):
    """A study of which one trial is over."""

    task = "tune_model"

    def begin(self) -> None:
        self.run = self.site.trigger("tune_model", {"experiment": "digits"})
        poll(lambda: "progress: 1/" in self.site.log_of(self.task, self.run, self.task), 300)
        self.known: dict = self.site.probe("board")  # type: ignore[assignment]

    def lost(self) -> list[str]:
        board: dict = self.site.probe("board")  # type: ignore[assignment]
        again = [f"trial {number} was run again" for number, runs in self.known.items() if board.get(number) != runs]
        promoted = self.site.tasks(self.task, self.run)["promote_model"].state
        missing = [] if len(board) == 3 else [f"{len(board)} of 3 trials are complete"]
        return again + missing + ([] if promoted in ("success", "skipped") else [f"promotion: {promoted}"])


class Labelling(Work):
    """A day whose rows are being staged, and a reader who looks at it all the time."""

    task = "label_images"

    def begin(self) -> None:
        self.day = self.site.free_day()
        self.site.probe("images", str(self.day))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.seen: dict[str, int] = {}
        self.reader.start()
        conf = {"image_set": tones.NAME, "model": tones.NAME, "day": str(self.day)}
        self.run = self.site.trigger("label_images", conf)
        poll(lambda: self.site.sees(f"labels/{tones.NAME}/.ds={self.day}.staged-*"), 300)

    def lost(self) -> list[str]:
        self.site.containers.docker("exec", self.site.helper, "touch", "/tmp/stop-watching")
        self.reader.join(60)
        halves = [f"a reader saw {rows} rows" for rows in self.seen if rows not in ("none", str(tones.IMAGES))]
        return self.site.wrong([self.day]) + halves + ([] if self.seen else ["nobody read"])

    def _read(self) -> None:
        self.seen = self.site.probe("watch", str(self.day))  # type: ignore[assignment]
