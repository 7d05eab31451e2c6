"""Ray Data with a pool of actors, one on each core; reading takes what they leave."""

import os
import time
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import numpy as np
import ray

from benchmarks.labelling.session import GraphSession
from benchmarks.labelling.work import asked

BATCH = 32


class Labeller:
    """An actor that holds the graph."""

    def __init__(self, graph: str) -> None:
        self._session = GraphSession(graph, threads=1)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Labels a batch."""
        labels, scores = self._session.best(np.concatenate([self._session.prepare(one) for one in batch["bytes"]]))
        return {"path": batch["path"], "label": labels, "score": scores, "at": np.full(len(labels), time.time())}


def main() -> None:
    """Labels all images."""
    work = asked()
    ray.init(num_cpus=work.cores, include_dashboard=False, logging_level="warning", log_to_driver=False)
    files = ray.data.read_binary_files(work.images, include_paths=True, ray_remote_args={"num_cpus": 0.1})
    pool = ray.data.ActorPoolStrategy(size=work.cores)
    labelled = files.map_batches(
        Labeller, fn_constructor_args=(work.graph,), batch_size=BATCH, compute=pool, num_cpus=0.8
    )
    labelled.write_parquet(work.output, ray_remote_args={"num_cpus": 0.1})
    ray.shutdown()


if __name__ == "__main__":
    main()
