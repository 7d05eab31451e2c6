"""Taking the features of image files: the values that an inner tensor of a frozen graph has for each."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from jobs.datasets.class_folders import ClassFolders
from jobs.datasets.dataset import GRAPH_FILE, FeatureGraph
from jobs.datasets.extraction import Outcomes, ShardTask
from jobs.datasets.feature_tasks import CheckFeatures, FeaturePartition, RefusedGraph
from jobs.datasets.sources import ImageFeaturesSource
from jobs.datasets.splits import SplitIndices
from jobs.datasets.tested_images import write_test_images
from jobs.errors import InvalidGraphError, ModelNotFoundError
from jobs.labelling.header import ImageLimits
from jobs.labelling.model_source import GraphOnDisk, RegisteredGraph
from jobs.labelling.partition import BroadcastModel, CheckedGraph, CheckGraph
from jobs.labelling.pipeline import PipelineSettings
from jobs.models.graph_plan import PixelFormat, usual_batch_size
from jobs.models.graph_topology import tensor_name
from jobs.spark import ExecutorLayout
from jobs.workspace import Workspace

if TYPE_CHECKING:
    from pyspark import Accumulator, Broadcast, SparkContext

log = logging.getLogger("atoll")

_FORMAT = b"atoll image features 1"  # change it when the same files and graph are to give other features

_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)")
"""How the arguments of labelling are called in its messages; here they are fields of the data set."""


@dataclass(frozen=True)
class FeatureExtraction:
    """Running a graph up to one of its tensors.

    Attributes:
        source: Which tensor of which graph, and of which folder's images.
        model: The graph.
    """

    source: ImageFeaturesSource
    model: BroadcastModel

    @classmethod
    def of(cls, source: ImageFeaturesSource, workspace: Workspace) -> Self:
        """Reads the graph, from its file or the registry.

        Raises:
            InvalidArgumentError: The file cannot be read.
            InvalidGraphError: It is empty, or a SavedModel that cannot be frozen.
            ModelNotFoundError: The registry has no such model or version.
        """
        try:
            if source.graph is None:
                return cls(source, RegisteredGraph(source.model or "", source.model_version, workspace).load())
            return cls(source, GraphOnDisk(source.graph, None, asked_by="dataset.graph").load())
        except ModelNotFoundError as error:
            raise ModelNotFoundError(f"dataset.model: {error}") from None
        except InvalidGraphError as error:
            raise InvalidGraphError(f"dataset.graph: {error}") from None

    @property
    def said(self) -> tuple[bytes, object]:
        """The graph's checksum, its tensor, and how it is fed."""
        source = self.source
        fed = source.input_tensor and tensor_name(source.input_tensor), source.pixel_range, source.input_size
        return _FORMAT, (self.model.stamp.graph_sha256, tensor_name(source.tensor), *fed)

    def start(self, context: "SparkContext", layout: ExecutorLayout, images: int) -> "FeatureExtractor":
        """Broadcasts the graph, and lets an executor check and plan it.

        Raises:
            InvalidGraphError: It is not allowed, lacks the tensor, or that does not give one vector for each image.
        """
        broadcast = context.broadcast(self.model)
        source, tensor = self.source, tensor_name(self.source.tensor)
        pixels, batch_size = PixelFormat(source.pixel_range, source.input_size), usual_batch_size(images)
        check = CheckGraph(
            broadcast, source.input_tensor, tensor, pixels, layout.cores, batch_size, reduced_decoding=False
        )
        found: CheckedGraph | RefusedGraph
        (found,) = context.parallelize([None], 1).mapPartitions(CheckFeatures(check, tensor)).collect()
        if isinstance(found, RefusedGraph):
            problem = _OPTION.sub(lambda option: f"dataset.{option[1].replace('-', '_')}", found.problem)
            given = self._graph if found.field == "graph" else f"{source.tensor!r} of {self._graph}"
            raise InvalidGraphError(f"dataset.{found.field}: {given}: {problem}")
        log.info("features of %s: %s", self._graph, found.describe())
        return FeatureExtractor(self.source, self.model, broadcast, found, layout.cores)

    @property
    def _graph(self) -> str:
        version = self.model.stamp.version
        return str(self.source.graph) if version is None else f"model {self.model.stamp.name} version {version}"


@dataclass(frozen=True)
class FeatureExtractor:
    """A graph that an executor has checked.

    Attributes:
        source: As in `FeatureExtraction`.
        model: The graph.
        broadcast: The graph, on its way to the executors.
        checked: How it is run.
        cores: Of each executor.
    """

    source: ImageFeaturesSource
    model: BroadcastModel
    broadcast: "Broadcast[BroadcastModel]"
    checked: CheckedGraph
    cores: int

    @property
    def shape(self) -> tuple[int]:
        """How many features there are."""
        return (self.checked.plan.classes,)

    @property
    def size(self) -> int:
        """Four bytes for each of them."""
        return 4 * self.checked.plan.classes

    def task(self, root: Path, shards: Path, done: "Accumulator[int]", quarantined: "Accumulator[int]") -> ShardTask:
        """Gives the task that writes the features of images below `root` into the folder `shards`."""
        limits = ImageLimits(self.source.max_megapixels, self.source.max_megabytes)
        settings = PipelineSettings.on_cores(self.cores, limits, self.checked.batch_size, top_k=None)
        return FeaturePartition(
            self.broadcast, self.checked.plan, settings, self.cores, root, shards, done, quarantined
        )  # fmt: skip

    def finish(self, staged: Path, listed: ClassFolders, outcomes: Outcomes, splits: SplitIndices) -> FeatureGraph:
        """Leaves the graph, which the head will be joined with, and the images of the test split."""
        (staged / GRAPH_FILE).write_bytes(self.model.graph)
        plan, stamp = self.checked.plan, self.model.stamp
        return FeatureGraph(
            model=stamp.name,
            version=stamp.version,
            sha256=stamp.graph_sha256,
            input_tensor=plan.input_tensor,
            tensor=plan.output_tensor,
            features=plan.classes,
            pixels=plan.pixels,
            test_images_sha256=write_test_images(staged, listed, outcomes, splits.test),
        )
