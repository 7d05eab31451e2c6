"""Many nights in a row, a random fault in each: every day is published once and right, and nothing grows.

`make soak` sets `ATOLL_TEST_SOAK` to the number of nights; without it this is skipped, since each night takes a minute or more.
"""

import logging
import os
import random
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from tests.docker import faults
from tests.docker.conftest import prepare
from tests.docker.containers import containers
from tests.docker.usage import Usage, growth, usage
from tests.docker.works import LONG, Labelling, Site, Tuning
from tests.local.support import poll

NIGHTS = int(os.environ.get("ATOLL_TEST_SOAK", "0"))
SEED = 2016
TUNED_EVERY = 10
"""In one of so many nights a model is tuned, too."""

if 0 < NIGHTS < 6:
    raise pytest.UsageError(f"ATOLL_TEST_SOAK={NIGHTS}: accepted: 6 nights or more, whose thirds are compared")

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(6 * 3600),
    pytest.mark.skipif(not NIGHTS, reason="takes hours: set ATOLL_TEST_SOAK to a number of nights"),
]

FAULTS = {
    "none": lambda site, work: None,
    "a Spark worker is killed": faults.crash("spark-worker"),
    "the Spark master is killed": faults.crash("spark-master"),
    "the scheduler is killed": faults.crash("scheduler"),
    "the API server is killed": faults.crash("api-server"),
    "Airflow's worker is killed": faults.kill_worker,
    "all of Airflow's workers are killed": faults.kill_all_workers,
    "MLflow is away": faults.outage("mlflow"),
    "PostgreSQL is away": faults.outage("postgres"),
}

BOUNDS = {"memory, MB": 5.0, "processes": 0.5, "connections": 0.5, "files": 25.0, "temporary files": 1.0}
"""By how much each may grow in a night. Files are those that a night leaves on purpose: images, rows, records of its run."""

SHORTER = {
    "plugins/atoll/dag_params.py": {"timedelta(minutes=1)": "timedelta(seconds=15)"},
    "docker/compose.yaml": {
        'ORPHANED_TASKS_CHECK_INTERVAL: "60"': 'ORPHANED_TASKS_CHECK_INTERVAL: "15"',
        'TASK_INSTANCE_HEARTBEAT_TIMEOUT: "60"': 'TASK_INSTANCE_HEARTBEAT_TIMEOUT: "20"',
    },
}
"""What makes nights of a quarter of their length: Airflow waits for less until it gives a task up, and tries it again."""

log = logging.getLogger("soak")


@pytest.fixture(scope="module")
def site(engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A cluster with two Spark workers, whose waits are short."""
    folder = tmp_path_factory.mktemp("soak")
    with containers(engine, folder, workers=2, prepare=shorten) as running, closing(Site(running)) as opened:
        yield opened


def shorten(copy: Path) -> None:
    """Gives the copy small experiments, and short waits.

    Raises:
        AssertionError: A wait is not where it was.
    """
    for name, texts in SHORTER.items():
        text = (copy / name).read_text()
        for long, short in texts.items():
            assert text.count(long) == 1, f"{name}: {long}"
            text = text.replace(long, short)
        (copy / name).write_text(text)
    prepare(copy)


def test_every_day_is_right_and_nothing_grows(site: Site) -> None:
    chosen = random.Random(SEED)
    held: list[Usage] = []
    log.info("before the first night: %s", usage(site))
    days: list[date] = []
    for night in range(1, NIGHTS + 1):
        name = chosen.choice(list(FAULTS))
        began = time.monotonic()
        labelling = Labelling(site)
        for work in (labelling, *([Tuning(site)] if night % TUNED_EVERY == 0 else [])):
            work.begin()
            FAULTS[name](site, work)
            poll(lambda: not site.containers.unwell(), LONG)
            poll(site.answers, 120)
            (run,) = site.end(work.task, work.run, LONG)
            assert (run.state, work.lost()) == ("success", []), f"night {night}, {name}"
        days.append(labelling.day)
        held.append(usage(site))
        log.info("night %d of %d, %s: %.0f s; %s", night, NIGHTS, name, time.monotonic() - began, held[-1])
    assert site.wrong(days) == [], "no later night has touched an earlier day"
    grown = growth(held)
    log.info("grown in a night: %s", grown)
    assert {what: by for what, by in grown.items() if by > BOUNDS[what]} == {}
