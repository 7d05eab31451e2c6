"""The Spark tasks that take the features of image files: the pipeline of labelling, with an inner tensor instead of scores."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.folder_tasks import Quarantined, Shard, shard_name, unread
from jobs.errors import InvalidGraphError
from jobs.files import open_regular
from jobs.labelling.partition import BroadcastModel, CheckedGraph, CheckGraph
from jobs.labelling.pipeline import LabellingPipeline, PipelineSettings
from jobs.labelling.rejection import ImageRejectedError
from jobs.labelling.schema import FeaturedImage, QuarantinedImage
from jobs.labelling.sources.image_set import UnreadImage
from jobs.models.graph_plan import GraphPlan

if TYPE_CHECKING:
    from pyspark import Accumulator, Broadcast


@dataclass(frozen=True)
class RefusedGraph:
    """Why a graph does not give features: the field of the data set that is to blame, and what is wrong."""

    field: Literal["graph", "tensor"]
    problem: str


@dataclass(frozen=True)
class CheckFeatures:
    """A Spark task that checks a graph as labelling does, and that its tensor gives one vector for each image.

    Attributes:
        check: The check of labelling, whose output is the tensor.
        tensor: Its name.
    """

    check: CheckGraph
    tensor: str

    def __call__(self, nothing: Iterator[Any]) -> Iterator[CheckedGraph | RefusedGraph]:
        """Gives how the graph is run, or why it is refused."""
        from jobs.models.threads import use_one_core_per_operation

        use_one_core_per_operation(self.check.cores)
        from jobs.models.feature_tensor import UnsuitableTensorError, check_feature_tensor
        from jobs.models.frozen_graph import fuse_layers_only

        fuse_layers_only()
        graph, check = self.check.model.value.graph, self.check
        try:
            check_feature_tensor(graph, self.tensor, check.input_tensor, check.pixel_format)
        except UnsuitableTensorError as error:
            refused = RefusedGraph("tensor", str(error))
        except InvalidGraphError as error:
            refused = RefusedGraph("graph", str(error))
        else:
            for checked in check(nothing):
                yield RefusedGraph("graph", checked) if isinstance(checked, str) else checked
            return
        list(nothing)  # Spark ends a Python worker that leaves input unread
        yield refused


@dataclass(frozen=True)
class FeaturePartition:
    """A Spark task that takes the features of the images of one partition and writes them as a shard.

    Attributes:
        model: Broadcast once.
        plan: How the graph is run.
        settings: Limits and sizes.
        cores: Of the executor.
        root: The folder of the classes.
        shards: Folder to write to, which exists and which driver and executors mount.
        done: Counts images as they are finished, for the progress line.
        quarantined: Counts those of them that cannot be used.
    """

    model: "Broadcast[BroadcastModel]"
    plan: GraphPlan
    settings: PipelineSettings
    cores: int
    root: Path
    shards: Path
    done: "Accumulator[int]"
    quarantined: "Accumulator[int]"

    def __call__(self, names: Iterator[str]) -> Iterator[Shard]:
        """Runs the graph on the images; gives the shard."""
        from jobs.models.threads import use_one_core_per_operation

        use_one_core_per_operation(self.cores)
        from jobs.models.frozen_graph import fuse_layers_only, load_graph

        fuse_layers_only()
        pipeline = LabellingPipeline(load_graph(self.model.value.graph, self.plan), (), self.settings)
        outcomes: dict[int, bytes | Quarantined] = {}
        features: dict[int, NDArray[np.float32]] = {}
        images = (
            UnreadImage(row, name, partial(_read, self.root / name, row, outcomes)) for row, name in enumerate(names)
        )
        for row, image in pipeline.run(images):
            if isinstance(image, FeaturedImage):
                features[row] = image.features
            elif isinstance(image, QuarantinedImage):
                outcomes[row] = Quarantined(image.reason, image.detail)
                self.quarantined.add(1)
            self.done.add(1)
        file = self.shards / shard_name()
        with file.open("wb") as shard:
            for row in sorted(features):  # the order of the names, not that in which they were ready
                shard.write(features[row].astype("<f4").tobytes())
        yield Shard(file.name, tuple(outcomes[row] for row in sorted(outcomes)))


def _read(path: Path, row: int, outcomes: dict[int, bytes | Quarantined], limit: int) -> bytes:
    """Reads one image, and notes the digest of what is read as its outcome, should nothing go wrong later."""
    try:
        with open_regular(path) as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise ImageRejectedError("fetch_failed", unread(error).detail) from None
    if len(content) > limit:
        raise ImageRejectedError("too_large", f"more than {limit / 1e6:g} MB")
    outcomes[row] = hashlib.sha256(content).digest()
    return content
