"""How long the pages take on a large workspace: days of labels by the hundred, and a day of a million.

    python -m benchmarks.pages

The pages are served by Airflow's own API server and read as a browser does, by a person with a login, from the request to the
last byte: once after the server's start, and then several times, of which the median counts. The rows are made here, and
published by the code that publishes a run's.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from jobs.labelling.part_files import write_part
from jobs.labelling.partition import PartFiles
from jobs.labelling.publication import publication_of_day
from jobs.labelling.schema import LABELS, NOTHING_CARRIED
from jobs.workspace import Workspace
from tests.plugins.pages.server import api_server

CLASSES = 1_000
FIRST = date(2026, 1, 1)
REPEATS = 7
ROWS_IN_PART = 100_000


def main() -> None:
    """Fills a workspace, and prints one row of JSON for each page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=100, help="days of the image set `many`")
    parser.add_argument("--rows", type=int, default=10_000, help="images of each of them")
    parser.add_argument("--large", type=int, default=1_000_000, help="images of the only day of the image set `large`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Workspace(Path(scratch) / "workspace")
        for number in range(options.days):
            publish(workspace, "many", FIRST + timedelta(number), options.rows)
        publish(workspace, "small", FIRST, 100)
        publish(workspace, "large", FIRST, options.large)
        home = Path(scratch) / "airflow"
        home.mkdir()
        with api_server(home, workspace) as server, server.visitor("viewer") as visitor:
            for address in ("", "/days", "/days/small", f"/days/small/{FIRST}"):
                visitor.get(address).raise_for_status()  # the server's first answers also load what they need
            for page, address in pages().items():
                took = []
                for _ in range(1 + REPEATS):
                    began = time.perf_counter()
                    answer = visitor.get(address).raise_for_status()
                    took.append(time.perf_counter() - began)
                times = {"first_s": took[0], "again_s": statistics.median(took[1:]), "slowest_again_s": max(took[1:])}
                rounded = {name: round(seconds, 3) for name, seconds in times.items()}
                print(json.dumps({"page": page, **rounded, "kilobytes": len(answer.content) // 1000}), flush=True)
            print(json.dumps({"server_memory_mb": round(memory_of(server.process) / 1e6)}))


def pages() -> dict[str, str]:
    """Names the pages, and says where they are."""
    large = f"/days/large/{FIRST}"
    return {
        "all image sets and days": "/days",
        "an image set over its days": "/days/many",
        "a day among many": f"/days/many/{FIRST + timedelta(7)}",
        "a million labels, least certain first": large,
        "most certain first": f"{large}?order=most",
        "by name, page 15,000": f"{large}?order=name&page=15000",
        "one label, scores from 0.5 to 0.9": f"{large}?label=class-0007&lowest=0.5&highest=0.9",
        "names that hold 99": f"{large}?text=99",
        "its quarantine": f"{large}/quarantine",
    }


def publish(workspace: Workspace, image_set: str, day: date, rows: int) -> None:
    """Publishes made-up labels of a day, the way a run of `label_images` does."""
    publication = publication_of_day(workspace, image_set, day)
    with publication.locked():
        staged = publication.stage()
        parts, names = [], []
        for number, table in enumerate(tables(day, rows)):
            write_part(table, staged.labels / f"part-{number:05}-0.parquet")
            parts.append(PartFiles(f"part-{number:05}-0.parquet", None))
            names += table["image"].to_pylist()
        staged.publish(parts, names, NOTHING_CARRIED)


def tables(day: date, rows: int) -> Iterator[pa.Table]:
    """Makes the labels of a day, some rows at a time."""
    random = np.random.default_rng(day.toordinal())
    classes = np.array([f"class-{number:04}" for number in range(CLASSES)])
    for first in range(0, rows, ROWS_IN_PART):
        count = min(ROWS_IN_PART, rows - first)
        scores = np.sort(random.dirichlet(np.ones(5), count).astype(np.float32), axis=1)[:, ::-1]
        chosen = classes[random.integers(0, CLASSES, (count, 5))]
        best = pa.StructArray.from_arrays(
            [pa.array(chosen.ravel()), pa.array(scores.ravel())], fields=list(LABELS.field("top_k").type.value_type)
        )
        at = datetime.combine(day, datetime.min.time(), UTC)
        columns = {
            "image": [f"{number:07}.jpg" for number in range(first, first + count)],
            "label": chosen[:, 0],
            "score": scores[:, 0],
            "top_k": pa.ListArray.from_arrays(np.arange(0, 5 * count + 1, 5, dtype=np.int32), best),
            "model_name": ["digits"] * count,
            "model_version": [7] * count,
            "graph_sha256": ["0" * 64] * count,
            "width": [224] * count,
            "height": [224] * count,
            "labelled_at": [at] * count,
        }
        yield pa.table(columns, schema=LABELS)


def memory_of(process: int) -> int:
    """Adds the proportional set sizes of a server's processes, in bytes."""
    first = psutil.Process(process)
    return sum(one.memory_full_info().pss for one in (first, *first.children(recursive=True)))


if __name__ == "__main__":
    main()
