"""The Spark tasks of labelling: checking the graph once, then labelling the images of a partition."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jobs.errors import InvalidGraphError
from jobs.labelling.minimum_score import keep_sure_labels
from jobs.labelling.part_files import write_part
from jobs.labelling.pipeline import LabellingPipeline, PipelineSettings
from jobs.labelling.schema import LabelledImage, ModelStamp, QuarantinedImage, beside, labels_table, quarantine_table
from jobs.labelling.sources.image_set import Reading, carried_columns, unpacked
from jobs.models.graph_plan import GraphPlan

if TYPE_CHECKING:
    from pyspark import Accumulator, Broadcast


@dataclass(frozen=True)
class BroadcastModel:
    """What every executor gets once.

    Attributes:
        stamp: Name, version and hash, written beside each label.
        graph: The serialised GraphDef.
        labels: One per class.
    """

    stamp: ModelStamp
    graph: bytes
    labels: tuple[str, ...]


@dataclass(frozen=True)
class PartFiles:
    """The Parquet files of one finished task, by name; None where it had no row of that kind."""

    labels: str | None
    quarantine: str | None


@dataclass(frozen=True)
class CheckGraph:
    """A Spark task that plans how the graph is run; the driver never imports TensorFlow."""

    model: "Broadcast[BroadcastModel]"
    input_tensor: str | None
    output_tensor: str | None
    cores: int

    def __call__(self, nothing: Iterator[Any]) -> Iterator[GraphPlan | str]:
        """Gives the plan, or the one line that says what is wrong with the graph."""
        list(nothing)  # Spark ends a Python worker that leaves input unread, and the next would import TensorFlow again
        from jobs.models.threads import use_cores

        use_cores(self.cores)
        from jobs.models.frozen_graph import plan_graph, run_graphs_unchanged

        run_graphs_unchanged()
        try:
            yield plan_graph(self.model.value.graph, self.input_tensor, self.output_tensor)
        except InvalidGraphError as error:
            yield str(error)


@dataclass(frozen=True)
class LabelPartition:
    """A Spark task that labels the images of one partition and writes them as Parquet.

    The files carry the attempt in their names, and the driver publishes only those that a finished task names: one that died
    half-way, or ran twice, leaves nothing behind that counts.

    Attributes:
        model: Broadcast once.
        plan: How the graph is run.
        reading: How the images are read.
        settings: Limits and sizes.
        cores: Of the executor.
        labels: Staged folder for labels, which exists.
        quarantine: Staged folder for quarantine, which exists.
        done: Counts images as they are finished, for the progress line.
        quarantined: Counts those of them that went to quarantine.
        min_score: Labels with a lower score are left out.
    """

    model: "Broadcast[BroadcastModel]"
    plan: GraphPlan
    reading: Reading
    settings: PipelineSettings
    cores: int
    labels: Path
    quarantine: Path
    done: "Accumulator[int]"
    quarantined: "Accumulator[int]"
    min_score: float = 0.0

    def __call__(self, partitions: Iterator[bytes]) -> Iterator[PartFiles]:
        """Labels the images of each partition; gives the names of the files that it wrote."""
        from jobs.models.threads import use_cores

        use_cores(self.cores)
        from jobs.models.frozen_graph import load_graph, run_graphs_unchanged

        run_graphs_unchanged()
        model = self.model.value
        pipeline = LabellingPipeline(load_graph(model.graph, self.plan), model.labels, self.settings)
        for partition in partitions:
            yield self._label(unpacked(partition), pipeline)

    def _label(self, images: pa.Table, pipeline: LabellingPipeline) -> PartFiles:
        labelled: dict[int, LabelledImage] = {}
        rejected: dict[int, QuarantinedImage] = {}
        for row, given in pipeline.run(self.reading.open(images)):
            image = keep_sure_labels(given, self.min_score)
            if isinstance(image, LabelledImage):
                labelled[row] = image
            else:
                rejected[row] = image
        self.done.add(len(labelled) + len(rejected))
        self.quarantined.add(len(rejected))
        carried = carried_columns(images)
        order, bad = (pa.array(sorted(rows), pa.int64()) for rows in (labelled, rejected))
        labels = labels_table([labelled[row] for row in sorted(labelled)], self.model.value.stamp)
        quarantine = quarantine_table([rejected[row] for row in sorted(rejected)])
        return PartFiles(
            _write(beside(labels, carried.take(order)), self.labels),
            _write(beside(quarantine, carried.take(bad)), self.quarantine),
        )


def partition_count(images: int, executors: int, per_partition: int = 256) -> int:
    """Chooses how many partitions to make: small enough to see progress, and at least one for each executor.

    Args:
        images: In the image set, at least 1.
        executors: That are alive now, at least 1.
        per_partition: Images per partition; a task costs some 50 ms on top of them.
    """
    return min(images, max(executors, -(-images // per_partition)))


def _write(table: pa.Table, folder: Path) -> str | None:
    from pyspark import TaskContext

    if table.num_rows == 0:
        return None
    task = TaskContext.get()
    number, attempt = (task.partitionId(), task.taskAttemptId()) if task else (0, 0)
    name = f"part-{number:05d}-{attempt}.parquet"
    write_part(table, folder / name)
    return name
