"""What a cluster in containers holds: memory, processes, connections and files, to see what grows from night to night."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.docker.works import Site

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
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
        memory: Bytes of each service, of all its containers.
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
    every = [name for some in names.values() for name in some]
    lines = containers.docker("stats", "--no-stream", "--format", "{{.Name}};{{.MemUsage}}", *every).splitlines()
    held = {name: _bytes(used.split("/")[0]) for name, used in (line.split(";") for line in lines)}
    memory = {service: sum(held[name] for name in some) for service, some in names.items()}
    processes = {
        service: sum(len(containers.docker("top", name).splitlines()) - 1 for name in some)
        for service, some in names.items()
    }
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


def _bytes(text: str) -> int:
    found = re.fullmatch(r"([\d.]+)([A-Za-z]+)", text.strip())
    assert found, text
    return int(float(found[1]) * UNITS[found[2]])
