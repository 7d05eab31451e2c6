"""How labelling grows: more images with the same rate and the same memory, and more executors with a higher rate.

    python -m benchmarks.labelling.growth --data FOLDER --sizes 1500 15000 60000

Larger sets are hard links to the same JPEGs. Memory is the most that each process held at any moment, sampled four times a
second: the driver (Python), Spark's JVM, and the Python worker that holds the graph. With `--executors`, sets of the first size
are also labelled by one and by two executors, in turn, each held to a core of its own: an executor's threads that read and
decode would else use a core that nobody has given it, and one alone would look faster than it is. Memory is not sampled then,
since that takes part of a core, which only two executors would miss.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from statistics import median

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.cores import hold_workers_to_cores
from benchmarks.labelling.contest import atoll, timed, warm_rate
from benchmarks.labelling.images import make_images, repeat_images
from benchmarks.labelling.table import Row, print_table
from jobs.workspace import REPOSITORY
from tests.standalone_cluster import standalone_cluster


def main() -> None:
    """Runs the benchmark and prints its tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with stock/ and photos/")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1500, 15000, 60000], help="multiples of the first")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument(
        "--executors", type=int, default=2, help="pairs of runs by one and by two executors; 0 for none"
    )
    options = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    stock = options.data / "stock"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_images(options.data / "photos", folder / "images", options.sizes[0])
        table: list[Row] = []
        for size in options.sizes:
            images = folder / f"images-{size}"
            repeat_images(folder / "images", images, size // options.sizes[0])
            done, peaks = labelled(atoll(stock, images, folder / f"out-{size}", f"local[{options.cores}]"))
            rate = round(warm_rate(done), 1)
            table.append({"images": size, "warm images/s": rate} | {f"{kind} MB": peaks[kind] for kind in KINDS})
            print_table(table[-1:])
        print_table(table)
        if options.executors:
            print_table(more_executors(stock, folder, options.executors))


def more_executors(stock: Path, folder: Path, pairs: int) -> list[Row]:
    """Labels the same set with one executor and with two, in turn; *steady* is once a third of the images is done.

    Until then the executors start, one of them checks the graph, and the other waits for it.
    """
    warm, steady = defaultdict(list), defaultdict(list)
    for pair in range(pairs):
        for count in (1, 2) if pair % 2 == 0 else (2, 1):
            home = Path(tempfile.mkdtemp(dir=folder))
            (home / "cluster").mkdir()
            with standalone_cluster(home / "cluster", workers=count) as cluster:
                hold_workers_to_cores(cluster)
                (home / "out").mkdir()
                conf = ("spark.executor.cores=1", "spark.executor.memory=512m")
                timed(atoll(stock, folder / "images", home / "out", cluster.master, *conf), home)
            done = moments(home / "out")
            warm[count].append(warm_rate(done))
            steady[count].append(warm_rate(sorted(done)[len(done) // 3 :]))
    table: list[Row] = [{"executors": count} for count in (1, 2)]
    for name, rates in (("warm", warm), ("steady", steady)):
        for row, count in zip(table, (1, 2), strict=True):
            row[f"{name} images/s"] = round(median(rates[count]), 1)
        speed_up = median(two / one for one, two in zip(rates[1], rates[2], strict=True))
        table[1][f"{name}, times as fast"] = round(speed_up, 2)
        table[0][f"{name}, times as fast"] = 1.0
    return table


KINDS = ("driver", "jvm", "worker")
"""Processes of a job under a local master."""


def labelled(command: list[str]) -> tuple[list[float], dict[str, int]]:
    """Runs the job; gives when each image was labelled, in seconds, and the most memory of each kind of process.

    Raises:
        SystemExit: It failed.
    """
    output = Path(command[-1])
    output.mkdir()
    environment = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1"}
    log = output / "log"
    with log.open("w") as lines:
        job = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=lines, stderr=lines)
        ended = threading.Event()
        peaks: dict[str, int] = dict.fromkeys(KINDS, 0)
        sampler = threading.Thread(target=_sample, args=(psutil.Process(job.pid), ended, peaks))
        sampler.start()
        job.wait()
        ended.set()
        sampler.join()
    if job.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {job.returncode}:\n{log.read_text()[-4000:]}")
    return moments(output), peaks


def moments(output: Path) -> list[float]:
    """Reads when each image was labelled, in seconds."""
    done = pc.cast(pq.read_table(output / "labels", columns=["labelled_at"])["labelled_at"], pa.int64())
    return pc.divide(done, 1e6).to_pylist()


def _sample(job: psutil.Process, ended: threading.Event, peaks: dict[str, int]) -> None:
    while not ended.wait(0.25):
        with suppress(psutil.Error):
            for process in [job, *job.children(recursive=True)]:
                with suppress(psutil.Error):
                    kind = _kind(process.cmdline())
                    peaks[kind] = max(peaks[kind], process.memory_info().rss // 1_000_000)


def _kind(command: list[str]) -> str:
    if "pyspark.daemon" in command or "pyspark.worker" in command:
        return "worker"
    return "jvm" if any("org.apache.spark" in part for part in command) else "driver"


if __name__ == "__main__":
    main()
