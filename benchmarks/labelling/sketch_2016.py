"""The sketch of 2016: the GraphDef broadcast, then for every image a graph, a session, one run."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.labelling.work import INPUT, OUTPUT, asked


def main() -> None:
    """Labels all images."""
    work = asked()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master(f"local[{work.cores}]").config("spark.ui.enabled", "false").getOrCreate()
    model = spark.sparkContext.broadcast(Path(work.graph).read_bytes())

    def label(path: str) -> tuple[str, int, float, float]:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import tensorflow as tf

        definition: Any = tf.compat.v1.GraphDef()
        definition.ParseFromString(model.value)
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            tf.import_graph_def(definition, name="")
            (scores,) = session.run(OUTPUT, {INPUT: Path(path).read_bytes()})
        return path, int(scores.argmax()), float(scores.max()), time.time()

    rows = spark.sparkContext.parallelize(work.paths(), 4 * work.cores).map(label)
    rows.toDF("path string, label long, score float, at double").write.parquet(work.output)
    spark.stop()


if __name__ == "__main__":
    main()
