"""The Spark tasks of labelling: checking the graph once, then labelling the images of a partition."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jobs.errors import InvalidGraphError
from jobs.labelling.label_names import LabelNames
from jobs.labelling.minimum_score import keep_sure_labels
from jobs.labelling.part_files import write_part
from jobs.labelling.pipeline import LabellingPipeline, PipelineSettings
from jobs.labelling.schema import (
    FeaturedImage,
    LabelledImage,
    ModelStamp,
    QuarantinedImage,
    beside,
    features_table,
    labels_table,
    quarantine_table,
)
from jobs.labelling.sources.image_set import Reading, carried_columns, unpacked
from jobs.models.graph_plan import GraphPlan, PixelFormat
from jobs.object_place import Place

if TYPE_CHECKING:
    from pyspark import Accumulator, Broadcast

_TURNS = 8
"""Partitions that each executor has in its turn, where there are images enough: the last one is then an eighth of its work."""

_MOST = 1024
"""Images in a partition, where their source asks for no more: progress is told by partition, and so is work lost."""


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
    labels: LabelNames


@dataclass(frozen=True)
class PartFiles:
    """The Parquet files of one finished task, by name; None where it had no row of that kind."""

    labels: str | None
    quarantine: str | None


@dataclass(frozen=True)
class CheckedGraph:
    """How the graph is run, and in batches of how many images on each core."""

    plan: GraphPlan
    batch_size: int

    def describe(self) -> str:
        """Says in one line how the graph is run."""
        how = self.plan.describe()
        return f"{how}, {self.batch_size} images at once on each core" if self.plan.cut_tensor else how


@dataclass(frozen=True)
class CheckGraph:
    """A Spark task that plans how the graph is run; the driver never imports TensorFlow.

    Attributes:
        model: Broadcast once.
        input_tensor: What the user asks to feed; None to find it.
        output_tensor: What the user asks to fetch; None to find it.
        pixel_format: What the user says of a graph that takes pixels.
        cores: Of the executor.
        batch_size: What the user asks for; None to try several, and to take the fastest.
        reduced_decoding: Whether JPEGs may be decoded at a reduced scale.
    """

    model: "Broadcast[BroadcastModel]"
    input_tensor: str | None
    output_tensor: str | None
    pixel_format: PixelFormat
    cores: int
    batch_size: int | None
    reduced_decoding: bool

    def __call__(self, nothing: Iterator[Any]) -> Iterator[CheckedGraph | str]:
        """Gives the plan, or the one line that says what is wrong with the graph."""
        list(nothing)  # Spark ends a Python worker that leaves input unread, and the next would import TensorFlow again
        from jobs.models.memory import return_large_memory
        from jobs.models.threads import use_one_core_per_operation

        return_large_memory()
        use_one_core_per_operation(self.cores)
        from jobs.models.batch_size import fastest_batch_size
        from jobs.models.frozen_graph import fuse_layers_only, load_graph
        from jobs.models.graph_planning import plan_graph

        fuse_layers_only()
        graph = self.model.value.graph
        try:
            plan = plan_graph(graph, self.input_tensor, self.output_tensor, self.pixel_format)
        except InvalidGraphError as error:
            yield str(error)
            return
        plan = replace(plan, reduced_decoding=self.reduced_decoding)
        yield CheckedGraph(plan, self.batch_size or fastest_batch_size(load_graph(graph, plan), self.cores))


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
        labels: Staged folder for labels, or for features, which exists.
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
    labels: Place
    quarantine: Place
    done: "Accumulator[int]"
    quarantined: "Accumulator[int]"
    min_score: float = 0.0

    def __call__(self, partitions: Iterator[bytes]) -> Iterator[PartFiles]:
        """Labels the images of each partition; gives the names of the files that it wrote."""
        from jobs.models.memory import return_large_memory
        from jobs.models.threads import use_one_core_per_operation

        return_large_memory()
        use_one_core_per_operation(self.cores)
        from jobs.models.frozen_graph import fuse_layers_only, load_graph

        fuse_layers_only()
        model = self.model.value
        labels = () if self.settings.top_k is None else model.labels.of(self.plan.classes)
        pipeline = LabellingPipeline(load_graph(model.graph, self.plan), labels, self.settings)
        for partition in partitions:
            yield self._label(unpacked(partition), pipeline)

    def _label(self, images: pa.Table, pipeline: LabellingPipeline) -> PartFiles:
        labelled: dict[int, LabelledImage | FeaturedImage] = {}
        rejected: dict[int, QuarantinedImage] = {}
        for row, given in pipeline.run(self.reading.open(images)):
            image = keep_sure_labels(given, self.min_score)
            if isinstance(image, QuarantinedImage):
                rejected[row] = image
            else:
                labelled[row] = image
        self.done.add(len(labelled) + len(rejected))
        self.quarantined.add(len(rejected))
        carried = carried_columns(images)
        order, bad = (pa.array(sorted(rows), pa.int64()) for rows in (labelled, rejected))
        labels = _table([labelled[row] for row in sorted(labelled)], self.model.value.stamp)
        quarantine = quarantine_table([rejected[row] for row in sorted(rejected)])
        return PartFiles(
            _write(beside(labels, carried.take(order)), self.labels),
            _write(beside(quarantine, carried.take(bad)), self.quarantine),
        )


def partition_count(images: int, executors: int, fewest: int = 128) -> int:
    """Chooses how many partitions to make: few enough to cost nothing, and enough that a slow one does not hold up the end.

    Args:
        images: In the image set, at least 1.
        executors: That are alive now, at least 1.
        fewest: Images in a partition, below which its cost is felt. Each costs a task, two files, and a core that waits for the
            other's last batch: some 100 ms in all; and what its source says.
    """
    per_partition = max(_MOST, fewest)
    if executors > 1:
        per_partition = min(per_partition, max(fewest, images // (_TURNS * executors)))
    return min(images, max(executors, -(-images // per_partition)))


def _table(rows: list[LabelledImage | FeaturedImage], model: ModelStamp) -> pa.Table:
    featured = [row for row in rows if isinstance(row, FeaturedImage)]
    if featured:
        return features_table(featured, model)
    return labels_table([row for row in rows if isinstance(row, LabelledImage)], model)


def _write(table: pa.Table, folder: Place) -> str | None:
    from pyspark import TaskContext

    if table.num_rows == 0:
        return None
    task = TaskContext.get()
    number, attempt = (task.partitionId(), task.taskAttemptId()) if task else (0, 0)
    name = f"part-{number:05d}-{attempt}.parquet"
    write_part(table, folder / name)
    return name
