"""Spark's own way: `predict_batch_udf` over the `binaryFile` source, one task and one session on each core."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.labelling.session import GraphSession
from benchmarks.labelling.work import asked

BATCH = 32


def main() -> None:
    """Labels all images."""
    work = asked()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

    builder = SparkSession.builder.master(f"local[{work.cores}]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", str(BATCH)).getOrCreate()
    model = spark.sparkContext.broadcast(Path(work.graph).read_bytes())

    def load() -> Callable[[Any], Any]:
        session = GraphSession(model.value, threads=1)

        def predict(contents: Any) -> dict[str, Any]:
            labels, scores = session.best(
                np.concatenate([session.prepare(bytes(one)) for one in np.atleast_1d(contents)])
            )
            return {"label": labels, "score": scores, "at": np.full(len(labels), time.time())}

        return predict

    best = StructType().add("label", "long").add("score", "float").add("at", "double")
    label = predict_batch_udf(load, return_type=best, batch_size=BATCH)
    files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(work.images)
    files.select("path", label("content").alias("best")).select("path", "best.*").write.parquet(work.output)
    spark.stop()


if __name__ == "__main__":
    main()
