"""Everything that can break in a cluster, broken in the middle of a run: nothing is lost, and it gets well by itself.

`make chaos` sets `ATOLL_TEST_CHAOS` to `some` or `all`; without it they are skipped, since each takes minutes.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import yaml

from tests.docker import faults
from tests.docker.containers import containers
from tests.docker.faults import Fault
from tests.docker.works import Labelling, Site, Tuning, Work
from tests.local.support import poll
from tests.nights import write_experiments

CHAOS = os.environ.get("ATOLL_TEST_CHAOS", "")
"""`some` faults, or `all` of them."""

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not CHAOS, reason="takes long: set ATOLL_TEST_CHAOS to some, or all"),
]

LONG = 900.0
"""Seconds until a run that was hit has ended: until it is noticed, the wait for another attempt, and the work."""

WORKSPACE = {"driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=600m,uid=10001,gid=10001,mode=0750"}}
"""A workspace that can be full without the machine being so."""

FAULTS: list[tuple[str, type[Work], Fault]] = [
    ("a Spark worker is killed", Tuning, faults.crash("spark-worker")),
    ("a Spark worker is killed", Labelling, faults.crash("spark-worker")),
    ("PostgreSQL is away for 30 s", Labelling, faults.outage("postgres")),
    ("the scheduler is killed", Labelling, faults.crash("scheduler")),
]

MORE: list[tuple[str, type[Work], Fault]] = [
    ("a Spark worker hangs for 60 s", Tuning, faults.pause("spark-worker")),
    ("a Spark worker hangs for 60 s", Labelling, faults.pause("spark-worker")),
    ("a Spark worker is cut off for 60 s", Tuning, faults.network_cut),
    ("a Spark worker is cut off for 60 s", Labelling, faults.network_cut),
    ("the Spark master is killed", Tuning, faults.crash("spark-master")),
    ("the Spark master is killed", Labelling, faults.crash("spark-master")),
    ("the scheduler is killed", Tuning, faults.crash("scheduler")),
    ("the API server is killed", Tuning, faults.crash("api-server")),
    ("the API server is killed", Labelling, faults.crash("api-server")),
    ("Airflow's workers are killed", Tuning, faults.kill_tasks),
    ("Airflow's workers are killed", Labelling, faults.kill_tasks),
    ("PostgreSQL is away for 30 s", Tuning, faults.outage("postgres")),
    ("MLflow is away for 30 s", Tuning, faults.outage("mlflow")),
    ("MLflow is away for 30 s", Labelling, faults.outage("mlflow")),
    ("the workspace is full for 30 s", Labelling, faults.full_disk),
]

log = logging.getLogger("chaos")


@pytest.fixture(scope="module")
def site(engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A cluster with two Spark workers, whose search takes some seconds for each trial."""
    with (
        containers(engine, tmp_path_factory.mktemp("chaos"), workers=2, prepare=prepare) as running,
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


@pytest.mark.parametrize(
    ("name", "kind", "fault"),
    FAULTS + (MORE if CHAOS == "all" else []),
    ids=lambda one: one.replace(" ", "-") if isinstance(one, str) else getattr(one, "__name__", None),
)
def test_nothing_is_lost(site: Site, name: str, kind: type[Work], fault: Fault) -> None:
    work = kind(site)
    work.begin()
    fault(site, work)
    healed = time.monotonic()
    poll(lambda: not site.containers.unwell(), LONG)
    well = time.monotonic() - healed
    poll(lambda: answers(site), 120)
    (run,) = site.end(work.task, work.run, LONG)
    ended = time.monotonic() - healed
    lost = work.lost() if run.state == "success" else [f"the run ended as {run.state}"]
    log.info(
        "| %s | %s | %s | %.0f s | %.0f s, attempt %d |",
        name, work.task, "; ".join(lost) or "nothing", well, ended, work.attempts(),
    )  # fmt: skip
    assert lost == []


def answers(site: Site) -> bool:
    """Tells whether Airflow lets its admin in."""
    try:
        site.log_in()
    except (httpx.HTTPError, KeyError, ValueError):
        return False
    return True
