"""What a data set that is made of image files keeps of each: its pixels, or the features that a frozen graph gives."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jobs.datasets.class_folders import ClassFolders
from jobs.datasets.dataset import FeatureGraph, ImageShape
from jobs.datasets.folder_tasks import Quarantined, Shard
from jobs.datasets.sources import ImageFeaturesSource, ImageFolderSource
from jobs.datasets.splits import SplitIndices
from jobs.spark import ExecutorLayout

if TYPE_CHECKING:
    from pyspark import Accumulator, SparkContext

FolderSource = ImageFolderSource | ImageFeaturesSource

Outcomes = Sequence[bytes | Quarantined]
"""For each listed image the digest of its bytes, or why it cannot be used."""

ShardTask = Callable[[Iterator[str]], Iterator[Shard]]
"""A Spark task that takes the names of some images, and leaves a shard of what it took from them."""


class Extractor(Protocol):
    """An extraction that is ready to run on the executors."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what is taken from an image."""

    @property
    def size(self) -> int:
        """Of what is taken from an image, in bytes."""

    def task(self, root: Path, shards: Path, done: "Accumulator[int]", quarantined: "Accumulator[int]") -> ShardTask:
        """Gives the task that reads images below `root` and writes to the folder `shards`."""

    def finish(
        self, staged: Path, listed: ClassFolders, outcomes: Outcomes, splits: SplitIndices
    ) -> ImageShape | FeatureGraph:
        """Leaves beside the splits what is needed besides them; gives what the manifest says of the samples."""


class Extraction(Protocol):
    """What is to be taken from each image of a folder."""

    @property
    def source(self) -> FolderSource:
        """Which folder, and how it is split."""

    @property
    def said(self) -> tuple[bytes, object]:
        """What the fingerprint covers besides the files and how they are split: the format, and what is taken."""

    def start(self, context: "SparkContext", layout: ExecutorLayout, images: int) -> Extractor:
        """Makes it ready for so many images.

        Raises:
            InvalidGraphError: The graph that is to give features cannot.
        """
