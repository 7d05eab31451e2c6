"""The graph in one TensorFlow session, as a careful user would hold it: imported once, run in batches."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.labelling.work import CUT, INPUT, OUTPUT


class GraphSession:
    """The stock graph, ready to run."""

    def __init__(self, graph: str | bytes, threads: int, operations: int | None = None) -> None:
        """Imports the graph.

        Args:
            graph: Its path, or its bytes.
            threads: That share one operation.
            operations: That may run at once; as many as threads where it is not given.
        """
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import tensorflow as tf

        definition = tf.compat.v1.GraphDef()
        definition.ParseFromString(Path(graph).read_bytes() if isinstance(graph, str) else graph)
        with tf.Graph().as_default() as imported:
            tf.import_graph_def(definition, name="")
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=operations or threads
        )
        self._session: Any = tf.compat.v1.Session(graph=imported, config=config)

    def prepare(self, encoded: bytes) -> NDArray[np.float32]:
        """Decodes and resizes one image: shape (1, height, width, 3)."""
        prepared: NDArray[np.float32] = self._session.run(CUT, {INPUT: encoded})
        return prepared

    def best(self, batch: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Gives index and score of the best class of each image."""
        scores = self._session.run(OUTPUT, {CUT: batch})
        labels = scores.argmax(axis=1)
        return labels, scores[np.arange(len(labels)), labels]
