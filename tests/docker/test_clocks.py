"""Clocks that differ within a cluster in containers: one is wrong for a minute, in the middle of a run.

Containers share the clock of their machine, so a small library that is loaded before each program gives it another. Part of
`make chaos`; compiles that library with the C compiler of this machine, and is skipped where there is none.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from jobs.workspace import REPOSITORY
from tests.docker import faults
from tests.docker.chaos import ASKED, lost_by
from tests.docker.conftest import prepare
from tests.docker.containers import containers
from tests.docker.faults import Fault
from tests.docker.works import Labelling, Site, Tuning, Work

HOUR = 3600

SOME_MINUTES = 300
"""For Airflow's parts: a task that the scheduler takes for dead is tried again when the time of the wrong clock has come."""

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(ASKED != "all", reason="takes long: set ATOLL_TEST_CHAOS to all"),
]


@pytest.fixture(scope="module")
def site(engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A cluster with two Spark workers, each of whose containers can be given a wrong clock."""
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler (Debian, Ubuntu: apt-get install gcc libc6-dev)")
    folder = tmp_path_factory.mktemp("clocks")
    library = folder / "clock.so"
    source = REPOSITORY / "tests" / "docker" / "clock.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl", "-lpthread"], check=True)

    def prepare_clocks(copy: Path) -> None:
        prepare(copy)
        shutil.copy(library, copy / "docker")
        compose = copy / "docker" / "compose.yaml"
        asked = yaml.safe_load(compose.read_text())
        for service in ("api-server", "scheduler", "spark-worker"):
            asked["services"][service]["environment"]["LD_PRELOAD"] = "/opt/atoll/docker/clock.so"
        compose.write_text(yaml.safe_dump(asked))

    with containers(engine, folder, workers=2, prepare=prepare_clocks) as running, closing(Site(running)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "kind", "fault"),
    [
        ("a Spark worker is an hour ahead", Tuning, faults.wrong_clock("spark-worker", HOUR)),
        ("a Spark worker is an hour behind", Labelling, faults.wrong_clock("spark-worker", -HOUR)),
        ("the scheduler is five minutes ahead", Tuning, faults.wrong_clock("scheduler", SOME_MINUTES)),
        ("the scheduler is five minutes behind", Labelling, faults.wrong_clock("scheduler", -SOME_MINUTES)),
        ("the API server is five minutes ahead", Labelling, faults.wrong_clock("api-server", SOME_MINUTES)),
        ("the API server is five minutes behind", Tuning, faults.wrong_clock("api-server", -SOME_MINUTES)),
    ],
    ids=lambda one: one.replace(" ", "-") if isinstance(one, str) else getattr(one, "__name__", None),
)
def test_nothing_is_lost_while_clocks_differ(site: Site, name: str, kind: type[Work], fault: Fault) -> None:
    assert lost_by(site, name, kind, fault) == []
