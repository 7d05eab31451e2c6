"""The limit: the graph fed tensors that are ready, in one process, on all cores; nothing is read, decoded or written.

Two ways: `default`, one batch after the other over all cores, as TensorFlow is set out of the box; `per_core`, small batches
side by side, one on each core, the fastest way known.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.labelling.session import GraphSession
from benchmarks.labelling.work import Work, asked

DISTINCT = 320
"""Images held ready; they are taken again and again."""

BATCHES = {"default": 32, "per_core": 8}


def main() -> None:
    """Infers as many images as the set has, and writes how many a second."""
    work, way = asked(), sys.argv[2]
    rate = images_per_second(work, way)
    Path(work.output).write_text(json.dumps({"images_per_second": rate}))


def images_per_second(work: Work, way: str) -> float:
    """Measures one way."""
    paths, size = work.paths(), BATCHES[way]
    session = GraphSession(work.graph, work.cores if way == "default" else 1, work.cores)
    prepared = [session.prepare(Path(path).read_bytes()) for path in paths[:DISTINCT]]
    ready = [np.concatenate(prepared[start : start + size]) for start in range(0, len(prepared), size)]
    todo = [ready[number % len(ready)] for number in range(-(-len(paths) // size))]
    with ThreadPoolExecutor(work.cores if way == "per_core" else 1) as streams:
        list(streams.map(session.best, ready[: 2 * work.cores]))
        began = time.perf_counter()
        done = sum(len(labels) for labels, _ in streams.map(session.best, todo))
        return done / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
