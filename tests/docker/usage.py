"""What a cluster in containers holds: memory, processes, connections and files, to see what grows from night to night."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.docker.containers import Containers
from tests.docker.works import Site

LASTING = (
    "postgres",
    "api-server",
    "scheduler",
    "dag-processor",
    "triggerer",
    "spark-master",
    "spark-worker",
    "mlflow",
)


@dataclass(frozen=True)
class Usage:
    """What is held between two nights.

    Attributes:
        memory: Resident bytes of each service's processes, in all its containers.
        processes: Processes of each service.
        connections: To PostgreSQL.
        files: In the workspace.
        temporary: Files and folders in `/tmp` of the scheduler and of Spark's workers.
    """

    memory: dict[str, int]
    processes: dict[str, int]
    connections: int
    files: int
    temporary: int


def usage(site: Site) -> Usage:
    """Measures a cluster on which nothing runs."""
    containers = site.containers
    names = {service: containers.of(service) for service in LASTING}
    resident = {
        service: [each for name in some for each in _resident(containers, name)] for service, some in names.items()
    }
    memory = {service: sum(each) for service, each in resident.items()}
    processes = {service: len(each) for service, each in resident.items()}
    connections: int = site.probe("connections")  # type: ignore[assignment]
    files = containers.docker("exec", site.helper, "sh", "-c", "find /data -type f | wc -l")
    temporary = [
        containers.docker("exec", name, "sh", "-c", "ls -A /tmp | wc -l")
        for service in ("scheduler", "spark-worker")
        for name in names[service]
    ]
    return Usage(memory, processes, connections, int(files), sum(map(int, temporary)))


def growth(nights: Sequence[Usage]) -> dict[str, float]:
    """Compares the last third of the nights with the second: by how much medians have grown, each night.

    The first third is left out: pools and caches fill, and code is compiled.
    """
    third = len(nights) // 3
    earlier, later = nights[third : 2 * third], nights[2 * third :]

    def each(value) -> float:
        return (median(map(value, later)) - median(map(value, earlier))) / third

    return {
        "memory, MB": each(lambda one: sum(one.memory.values())) / 1e6,
        "processes": each(lambda one: sum(one.processes.values())),
        "connections": each(lambda one: one.connections),
        "files": each(lambda one: one.files),
        "temporary files": each(lambda one: one.temporary),
    }


def _resident(containers: Containers, name: str) -> list[int]:
    """Gives the bytes of each process of a container, without the files that the kernel keeps, which Docker counts too."""
    return [int(line.split()[1]) * 1024 for line in containers.docker("top", name, "-eo", "pid,rss").splitlines()[1:]]
