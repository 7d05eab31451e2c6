"""Killed at the worst moments: nothing is left at work unseen, no two drivers share a study or a day, the night ends right.

Run with `ATOLL_TEST_KILLS=some` or `all` in the environment; without it they are skipped, since each takes minutes.
"""

import itertools
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from jobs.registry.versions import ModelVersion
from local import processes
from local.components import airflow_programs
from tests import tones
from tests.conftest import read_json
from tests.local.support import poll
from tests.nights import Nights, started

KILLED = os.environ.get("ATOLL_TEST_KILLS", "")
"""`some` kills, or `all` of them with each job; a quarter of an hour."""

pytestmark = [
    pytest.mark.spark,
    pytest.mark.stack,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not KILLED, reason="takes long: set ATOLL_TEST_KILLS to some, or all"),
]

LONG = 600.0
"""Seconds until a night that was killed has ended: a minute until its end is noticed, one until it is tried again, its work."""

SPARK = ("spark-submit", "SparkSubmit", "pyspark", "jobs/tune_model.py", "jobs/label_images.py")
"""Words of which each command line of Spark's processes has one."""

log = logging.getLogger("nights")
days = itertools.count()


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    """A stack whose search takes some seconds for each trial."""
    with (
        started(tmp_path_factory.mktemp("kills"), epochs=150) as running,
        tones.environment(running.stack.environment()),
    ):
        running.unpause("tune_model")
        running.unpause("label_images")
        for dag in ("tune_model", "label_images"):  # the runs that their schedules make are not what is tested here
            for run in poll(lambda dag=dag: running.runs(dag, "scheduled")):
                running.ask("PATCH", f"/dags/{dag}/dagRuns/{run.id}?update_mask=state", {"state": "failed"})
        yield running


@pytest.fixture(scope="module")
def version(nights: Nights, tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    return tones.add_version(1, nights.workspace, tmp_path_factory.mktemp("version") / "1", datetime.now(UTC))


def at_work(nights: Nights) -> list[psutil.Process]:
    """Gives every process of the stack that belongs to Spark: submits, drivers, JVMs, Python workers."""
    state = nights.stack.file.read()
    records = [component.process for component in state.components] if state else []
    found = []
    for process in processes.find(records, nights.stack.settings.marker):
        try:
            words = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if any(sign in words for sign in SPARK):
            found.append(process)
    return found


def nobody_at_work(nights: Nights) -> bool:
    return at_work(nights) == []


class Work:
    """A run that is in the middle of its work on Spark, and what must come of it."""

    def __init__(self, nights: Nights, version: ModelVersion) -> None:
        self.nights, self.version = nights, version
        self.task = ""
        self.run = ""

    def begin(self) -> None:
        raise NotImplementedError

    def check(self) -> None:
        raise NotImplementedError


class Tuning(Work):
    """A study of which one trial is over."""

    def begin(self) -> None:
        self.task = "tune_model"
        self.run = self.nights.trigger("tune_model", {"experiment": "digits"})
        poll(lambda: "progress: 1/" in self.nights.log_of(self.task, self.run, self.task), 300)

    def check(self) -> None:
        study = self.nights.result("tune_model", self.run, "tune_model")
        board = read_json(Path(study["folder"]) / "leaderboard.json")
        runs = [run for trial in board["trials"] for run in trial["runs"]]
        spans = sorted((run["started_at"], run["finished_at"]) for run in runs)
        assert [len(trial["runs"]) for trial in board["trials"]] == [1, 1, 1], "no trial that was over is run again"
        assert all(began >= ended for (_, ended), (began, _) in itertools.pairwise(spans)), "two drivers at once"
        workers = len({run["process"] for run in runs})
        assert workers <= 2, "one Python worker before the kill, and one after it where the task did not outlive it"


class Labelling(Work):
    """A day whose rows are being staged."""

    def begin(self) -> None:
        self.task = "label_images"
        self.day = date(2026, 4, 1) + timedelta(days=next(days))
        tones.write_images(self.nights.workspace, self.day)
        conf = {"image_set": tones.NAME, "model": tones.NAME, "day": str(self.day)}
        self.run = self.nights.trigger("label_images", conf)
        poll(
            lambda: self.staged() and any("pyspark.daemon" in " ".join(one.cmdline()) for one in at_work(self.nights)),
            300,
        )

    def check(self) -> None:
        assert tones.wrong_rows(self.nights.workspace, self.day, self.version) == []
        assert self.staged() == []

    def staged(self) -> list[Path]:
        return list(self.nights.workspace.labels(tones.NAME, self.day).parent.glob(f".ds={self.day}.staged-*"))


def kill_airflow(nights: Nights, work: Work) -> None:
    """Kills the process group of each of Airflow's components, and starts the stack again when all is quiet."""
    state = nights.stack.file.read()
    assert state is not None
    for component in state.components:
        os.killpg(component.process.pid, signal.SIGKILL)
    poll(lambda: nobody_at_work(nights), 60)
    nights.stack.up(mlflow=False)
    nights.log_in()


def kill_scheduler(nights: Nights, work: Work) -> None:
    """Kills the scheduler alone, and starts it again alone, as a supervisor of services does."""
    state = nights.stack.file.read()
    assert state is not None
    scheduler = state.component("scheduler")
    assert scheduler is not None
    os.kill(scheduler.process.pid, signal.SIGKILL)
    poll(lambda: not scheduler.process.alive())
    (program,) = [one for one in airflow_programs(nights.stack.environment(), nights.url) if one.name == "scheduler"]
    again = program.start(nights.stack.settings)
    others = [one for one in state.components if one.name != "scheduler"]
    nights.stack.file.write(state.model_copy(update={"components": [*others, again]}))


def mark_failed(nights: Nights, work: Work) -> None:
    """Marks the task as failed, as the button in Airflow does, and clears it when all is quiet."""
    path = f"/dags/{work.task}/dagRuns/{work.run}/taskInstances/{work.task}"
    nights.ask("PATCH", f"{path}?update_mask=new_state", {"new_state": "failed"})
    began = time.monotonic()
    poll(lambda: nobody_at_work(nights), 60)
    log.info("all gone after %.1f s", time.monotonic() - began)
    nights.clear(work.task, work.run)


KILLS: list[tuple[type[Work], Callable[[Nights, Work], None]]] = [
    (Tuning, kill_airflow),
    (Labelling, mark_failed),
    *(
        [
            (Tuning, kill_scheduler),
            (Labelling, kill_scheduler),
            (Tuning, mark_failed),
            (Labelling, kill_airflow),
        ]
        if KILLED == "all"
        else []
    ),
]


@pytest.mark.parametrize(("kind", "kill"), KILLS, ids=lambda one: one.__name__)
def test_a_night_ends_right_after_a_kill(
    nights: Nights, version: ModelVersion, kind: type[Work], kill: Callable[[Nights, Work], None]
) -> None:
    work = kind(nights, version)
    work.begin()
    assert at_work(nights)
    kill(nights, work)
    began = time.monotonic()
    (run,) = nights.end(work.task, work.run, LONG)
    log.info("%s, %s: ended %.0f s after it", kind.__name__, kill.__name__, time.monotonic() - began)
    assert run.state == "success"
    work.check()
    poll(lambda: nobody_at_work(nights), 30)
