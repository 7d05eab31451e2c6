"""tf.data in one process: reading and decoding in parallel, batches fetched ahead, TensorFlow's own threads."""

import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from benchmarks.labelling.work import CUT, OUTPUT, Work, asked

BATCH = 32


def main() -> None:
    """Labels all images."""
    work = asked()
    paths = work.paths()
    infer = inference(work)
    labels, scores, at = [], [], []
    for batch in batches(paths):
        given = infer(batch).numpy()
        labels.append(given.argmax(axis=1))
        scores.append(given.max(axis=1))
        at.append(np.full(len(given), time.time()))
    columns = {
        "path": paths,
        "label": np.concatenate(labels),
        "score": np.concatenate(scores),
        "at": np.concatenate(at),
    }
    Path(work.output).mkdir()
    pq.write_table(pa.table(columns), Path(work.output) / "part.parquet")


def batches(paths: list[str]) -> Any:
    """Reads, decodes and resizes as the graph itself does."""

    def prepared(path: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.raw_ops.ResizeBilinear(images=image[tf.newaxis], size=(224, 224))[0]

    listed = tf.data.Dataset.from_tensor_slices(paths)
    return listed.map(prepared, tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def inference(work: Work) -> Any:
    """Gives the part of the graph after the resize as one function."""
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(Path(work.graph).read_bytes())

    def infer(batch: Any) -> Any:
        return tf.import_graph_def(graph, input_map={CUT: batch}, return_elements=[OUTPUT], name="")[0]

    return tf.compat.v1.wrap_function(infer, [tf.TensorSpec((None, 224, 224, 3), tf.float32)])


if __name__ == "__main__":
    main()
