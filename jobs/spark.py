"""A Spark application laid out as Atoll's jobs need it: one task at a time per executor, with all of its cores."""

import logging
import math
import os
import re
import socket
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from jobs.errors import InvalidArgumentError, SparkUnavailableError
from jobs.workspace import REPOSITORY

if TYPE_CHECKING:
    from pyspark import SparkConf, SparkContext

log = logging.getLogger("atoll")

CONNECT_TIMEOUT = 5.0
"""Seconds to wait for a Spark master to accept a connection."""

EXECUTOR_TIMEOUT = 120.0
"""Seconds to wait for the first executor, unless `EXECUTOR_WAIT` says otherwise."""

EXECUTOR_WAIT = "spark.atoll.executorWait"
"""Spark setting with these seconds, for clusters in whose queues an application may wait for longer."""

LOCAL_EXECUTOR = "driver"
"""Spark's own name for the only executor of a local master."""


@dataclass(frozen=True)
class ExecutorLayout:
    """How tasks map onto executors.

    Attributes:
        cores: Cores of each executor, all given to its one task; TensorFlow's thread pools are set to it.
        local: Whether driver and executor are one process.
    """

    cores: int
    local: bool


@contextmanager
def spark_application(name: str) -> Iterator[tuple["SparkContext", ExecutorLayout]]:
    """Opens a Spark application in which each executor runs one task at a time, and closes it.

    The package `jobs` is shipped to the executors unless spark-submit was given it by `--py-files`.

    Args:
        name: The application's name in Spark's UI, unless spark-submit was given another.

    Yields:
        The Spark context, and the layout of its executors.

    Raises:
        SparkUnavailableError: No master answers, no executor comes in time, or the configuration would
            put two tasks on one executor.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    from pyspark import SparkConf, SparkContext

    logging.getLogger("py4j").setLevel(logging.WARNING)  # it tells of each connection that it closes
    SparkContext._ensure_initialized()  # what spark-submit was given is known to the JVM alone
    conf = SparkConf()
    master = conf.get("spark.master", "local[*]") or "local[*]"
    check_master(master)
    layout = executor_layout(master, conf.get("spark.executor.cores"), conf.get("spark.task.cpus"))
    if gpus := conf.get("spark.executor.resource.gpu.amount"):
        conf.set("spark.task.resource.gpu.amount", gpus)  # all of them, like the cores
    # A context without a SQL session: starting one costs a second, and pandas in the driver.
    conf.setIfMissing("spark.app.name", name).set("spark.master", master)
    conf.set("spark.task.cpus", str(layout.cores)).set("spark.ui.showConsoleProgress", "false")
    context = SparkContext(conf=conf)
    try:
        with tempfile.TemporaryDirectory(prefix="atoll-code-") as folder:
            if not _has_code(conf):
                context.addPyFile(str(archive_code(Path(folder))))
            # Airflow makes the task's link of this line; see plugins/atoll/spark_log.py.
            log.info("Spark application %s, its UI at %s", context.applicationId, context.uiWebUrl or "none")
            wait_for_executor(context, layout, executor_wait(conf.get(EXECUTOR_WAIT)))
            yield context, layout
    finally:
        context.stop()


def executor_layout(master: str, executor_cores: str | None, task_cpus: str | None) -> ExecutorLayout:
    """Works out how many cores one executor has, so that one task can be given all of them.

    Args:
        master: Spark's master URL.
        executor_cores: `spark.executor.cores`, None where it is not set.
        task_cpus: `spark.task.cpus`, None where it is not set.

    Raises:
        SparkUnavailableError: The cores of an executor are unknown, or `spark.task.cpus` leaves room for a second task.
    """
    local = re.fullmatch(r"local(?:\[(\*|\d+)(?:,\s*\d+)?\])?", master)
    if local:
        asked = local.group(1) or "1"
        cores = (os.cpu_count() or 1) if asked == "*" else int(asked)
    elif executor_cores is None:
        raise SparkUnavailableError(
            f"spark.executor.cores is not set for {master}; accepted: the number of cores of one executor, for example "
            "--conf spark.executor.cores=4, all of which go to one trial at a time"
        )
    else:
        cores = int(executor_cores)
    if task_cpus is not None and int(task_cpus) != cores:
        raise SparkUnavailableError(
            f"spark.task.cpus: {task_cpus} differs from the {cores} cores of an executor; accepted: {cores}, or leave it "
            "unset, so that an executor runs one trial at a time"
        )
    return ExecutorLayout(cores, local is not None)


def check_master(master: str) -> None:
    """Connects to a standalone master, so that an unreachable one is told in one line instead of after a minute.

    Raises:
        SparkUnavailableError: None of the masters of `spark://host:port[,host:port]` accepts a connection.
    """
    if not master.startswith("spark://"):
        return
    refusals = []
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")  # an IPv6 address
        if not host or not port.isdecimal():
            raise SparkUnavailableError(f"spark.master: {master!r} is not an address; accepted: spark://HOST:PORT")
        try:
            with socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT):
                return
        except OSError as error:
            refusals.append(f"{address}: {error.strerror or error}")
        except UnicodeError as error:
            refusals.append(f"{address}: {error}")
    raise SparkUnavailableError(f"spark.master: no Spark master answers at {master} ({'; '.join(refusals)})")


def wait_for_executor(context: "SparkContext", layout: ExecutorLayout, timeout: float = EXECUTOR_TIMEOUT) -> None:
    """Waits until the application has an executor.

    Raises:
        SparkUnavailableError: The cluster gives none within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while executor_count(context, layout) == 0:
        if time.monotonic() > deadline:
            raise SparkUnavailableError(
                f"{context.master} gave no executor within {timeout:.0f} s ({EXECUTOR_WAIT}); a worker needs {layout.cores} "
                f"free cores and {context.getConf().get('spark.executor.memory', '1g')} of free memory"
            )
        time.sleep(0.2)


def executor_wait(setting: str | None) -> float:
    """Reads for how many seconds to wait for the first executor, from `EXECUTOR_WAIT`; None where it is not set.

    Raises:
        InvalidArgumentError: It is no number of seconds.
    """
    try:
        seconds = EXECUTOR_TIMEOUT if setting is None else float(setting)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < math.inf:
        raise InvalidArgumentError(f"{EXECUTOR_WAIT}: {setting!r} is no number of seconds; accepted: for example 1800")
    return seconds


def executor_count(context: "SparkContext", layout: ExecutorLayout) -> int:
    """Counts the executors that are alive now; a local master has one."""
    if layout.local:
        return 1
    known = context._jsc.sc().getExecutorMemoryStatus().size()
    return int(known) - 1  # the driver is counted too


@cache
def executor_name() -> str:
    """Names the executor that this Python worker serves, as `ID@host`, or `driver@host` under a local master.

    Spark gives its Python workers no such name; it stands on the command line of the executor's JVM, an ancestor of this
    process, for every cluster manager.
    """
    for ancestor in psutil.Process().parents():
        command = ancestor.cmdline()
        if "--executor-id" in command:
            return f"{command[command.index('--executor-id') + 1]}@{socket.gethostname()}"
    return f"{LOCAL_EXECUTOR}@{socket.gethostname()}"


def use_gpus() -> None:
    """Shows TensorFlow the GPUs that Spark gave to this task, and no others; must come before TensorFlow is imported.

    Where the cluster declares no GPUs, nothing is changed.
    """
    from pyspark import TaskContext

    context = TaskContext.get()
    given = context.resources().get("gpu") if context else None
    if given:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(given.addresses)


def archive_code(folder: Path) -> Path:
    """Packs the package `jobs` as a zip for `--py-files`; the same code gives the same bytes."""
    archive = folder / "jobs.zip"
    package = Path(__file__).resolve().parent
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as code:
        for source in sorted((*package.rglob("*.py"), *package.rglob("*.html"))):
            member = zipfile.ZipInfo(str(source.relative_to(REPOSITORY)), date_time=(1980, 1, 1, 0, 0, 0))
            code.writestr(member, source.read_bytes())
    return archive


def _has_code(conf: "SparkConf") -> bool:
    given = [conf.get(key, "") or "" for key in ("spark.submit.pyFiles", "spark.yarn.dist.pyFiles")]
    return any(Path(name).name == "jobs.zip" for names in given for name in names.split(","))
