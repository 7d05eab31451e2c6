"""Everything that can break in a cluster, broken in the middle of a run: nothing is lost, and it gets well by itself.

`make chaos` sets `ATOLL_TEST_CHAOS` to `some` or `all`; without it they are skipped, since each takes minutes.
"""

import pytest

from tests.docker import faults
from tests.docker.chaos import ASKED, lost_by
from tests.docker.faults import Fault
from tests.docker.works import Labelling, Site, Tuning, Work

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not ASKED, reason="takes long: set ATOLL_TEST_CHAOS to some, or all"),
]

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
    ("Airflow's worker is killed", Tuning, faults.kill_worker),
    ("Airflow's worker is killed", Labelling, faults.kill_worker),
    ("all of Airflow's workers are killed", Tuning, faults.kill_all_workers),
    ("all of Airflow's workers are killed", Labelling, faults.kill_all_workers),
    ("PostgreSQL is away for 30 s", Tuning, faults.outage("postgres")),
    ("MLflow is away for 30 s", Tuning, faults.outage("mlflow")),
    ("MLflow is away for 30 s", Labelling, faults.outage("mlflow")),
    ("the workspace is full for 30 s", Labelling, faults.full_disk),
]


@pytest.mark.parametrize(
    ("name", "kind", "fault"),
    FAULTS + (MORE if ASKED == "all" else []),
    ids=lambda one: one.replace(" ", "-") if isinstance(one, str) else getattr(one, "__name__", None),
)
def test_nothing_is_lost(site: Site, name: str, kind: type[Work], fault: Fault) -> None:
    assert lost_by(site, name, kind, fault) == []
