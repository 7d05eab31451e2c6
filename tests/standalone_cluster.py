"""A real Spark standalone cluster on this machine's loopback, for tests."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark

DEADLINE = 180.0


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its master's URL, and the process of each worker."""

    master: str
    workers: tuple[subprocess.Popen[bytes], ...]


@contextmanager
def standalone_cluster(folder: Path, workers: int, cores: int = 1, gpus: tuple[str, ...] = ()) -> Iterator[Cluster]:
    """Starts a master and workers of `cores` cores each on free ports, and stops them at the end.

    Args:
        folder: Where the daemons write.
        workers: How many.
        cores: Cores of each.
        gpus: Addresses of the GPUs that each worker says it has.
    """
    with ExitStack() as running:
        log = folder / "master.log"
        running.enter_context(_daemon(log, "master.Master", "--port", "0", "--webui-port", "0"))
        master = _await(log, r"Starting Spark master at (spark://\S+)")
        _await(log, r"I have been elected leader")
        started = []
        for number in range(workers):
            log = folder / f"worker-{number}.log"
            options = (
                "--cores",
                str(cores),
                "--memory",
                "2g",
                "--webui-port",
                "0",
                "--work-dir",
                str(folder / f"work-{number}"),
                *_declared(gpus, folder),
            )
            started.append(running.enter_context(_daemon(log, "worker.Worker", *options, master)))
        for number in range(workers):
            _await(folder / f"worker-{number}.log", r"Successfully registered with master")
        yield Cluster(master, tuple(started))


def _declared(gpus: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    """Gives a worker's options to declare GPUs, as its operator would: a script that says which there are."""
    if not gpus:
        return ()
    script = folder / "gpus.sh"
    script.write_text(f"#!/bin/sh\necho '{json.dumps({'name': 'gpu', 'addresses': gpus})}'\n")
    script.chmod(0o755)
    properties = folder / "worker.properties"
    properties.write_text(
        f"spark.worker.resource.gpu.amount {len(gpus)}\nspark.worker.resource.gpu.discoveryScript {script}\n"
    )
    return ("--properties-file", str(properties))


@contextmanager
def _daemon(log: Path, role: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    spark_class = Path(pyspark.__file__).parent / "bin" / "spark-class"
    command = [str(spark_class), f"org.apache.spark.deploy.{role}", "--host", "127.0.0.1", *options]
    environment = os.environ | {
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "PYSPARK_PYTHON": sys.executable,
    }
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, env=environment) as process:
        try:
            yield process
        finally:
            process.terminate()  # its executors end with it
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _await(log: Path, pattern: str) -> str:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text(errors="replace") if log.exists() else ""):
            return found.group(found.lastindex or 0)
        time.sleep(0.1)
    raise AssertionError(f"{log} does not say {pattern!r}:\n{log.read_text(errors='replace')[-2000:]}")
