"""One contestant's run, and what is read from the rows that it left."""

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.labelling.work import Work
from jobs.workspace import REPOSITORY

ATOLL = "atoll"
READY = ("ready_tensors default", "ready_tensors per_core")
PEERS = ("sketch_2016", "batch_udf", "ray_actors", "tf_data")
GRAPH, LABELS = "mobilenet_v2_imagenet_frozen.pb", "imagenet_labels.txt"


@dataclass(frozen=True)
class Run:
    """What came of one run.

    Attributes:
        contestant: Its name.
        images: How many it was given.
        seconds: From its start to its end.
        warm: Images a second between its first batch and its last.
        labels: Best class of each image, by the image's number; empty where none was asked for.
    """

    contestant: str
    images: int
    seconds: float
    warm: float
    labels: dict[str, str]

    @property
    def whole(self) -> float:
        """Images a second, its start and end included."""
        return self.images / self.seconds


def contest(name: str, stock: Path, images: Path, cores: int, python: Path, scratch: Path) -> Run:
    """Runs one contestant once.

    Args:
        name: Atoll, a way of `ready_tensors`, or a peer.
        stock: Folder with the stock graph and its labels.
        images: Folder of JPEGs.
        cores: How many may be used.
        python: Of the peers' environment.
        scratch: Where to write.
    """
    home = Path(tempfile.mkdtemp(prefix=f"{name.split()[0]}-", dir=scratch))
    count = sum(1 for _ in images.rglob("*.jpg"))
    if name == ATOLL:
        seconds = timed(atoll(stock, images, home, f"local[{cores}]"), home)
        table = pq.read_table(home / "labels", columns=["image", "label", "labelled_at"])
        done = pc.divide(pc.cast(table["labelled_at"], pa.int64()), 1e6)
        return _run(name, seconds, table["image"].to_pylist(), table["label"].to_pylist(), done.to_pylist())
    work = Work(str((stock / GRAPH).resolve()), str(images), str(home / "out"), cores)
    work.write(home / "work.json")
    program, *way = name.split()
    command = [str(python.absolute()), "-m", f"benchmarks.labelling.{program}", str(home / "work.json"), *way]
    seconds = timed(command, home)
    if name in READY:
        return Run(name, count, seconds, json.loads((home / "out").read_text())["images_per_second"], {})
    table = pq.read_table(home / "out", columns=["path", "label", "at"])
    names = (stock / LABELS).read_text().splitlines()
    labels = [names[index] for index in table["label"].to_pylist()]
    return _run(name, seconds, table["path"].to_pylist(), labels, table["at"].to_pylist())


def atoll(stock: Path, images: Path, home: Path, master: str, *conf: str) -> list[str]:
    """Gives the command that a user would type."""
    settings = [part for one in ("spark.ui.enabled=false", *conf) for part in ("--conf", one)]
    given = ["--graph", stock / GRAPH, "--labels", stock / LABELS, "--images", images, "--output", home]
    return ["spark-submit", "--master", master, *settings, "jobs/label_images.py", *map(str, given)]


def timed(command: list[str], home: Path) -> float:
    """Runs a command in the repository, its output kept in a log; gives its seconds.

    Raises:
        SystemExit: It failed; tells the end of its log.
    """
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "SPARK_LOCAL_IP": "127.0.0.1"}
    log = home / "log"
    with log.open("w") as output:
        began = time.monotonic()
        ended = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output, check=False)
        seconds = time.monotonic() - began
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}:\n{log.read_text()[-4000:]}")
    return seconds


def warm_rate(done: list[float]) -> float:
    """Gives images a second from the moment when the first batch was done.

    Args:
        done: When each image was labelled, in seconds.
    """
    first, last = min(done), max(done)
    return sum(at > first for at in done) / (last - first)


def _run(name: str, seconds: float, paths: list[str], labels: list[str], done: list[float]) -> Run:
    found = {Path(path).stem: label for path, label in zip(paths, labels, strict=True)}
    return Run(name, len(paths), seconds, warm_rate(done), found)
