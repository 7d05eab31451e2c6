"""Taking the pixels of image files."""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.datasets.class_folders import ClassFolders
from jobs.datasets.dataset import ImageShape
from jobs.datasets.extraction import Outcomes, ShardTask
from jobs.datasets.folder_tasks import DecodePartition
from jobs.datasets.sources import ImageFolderSource
from jobs.datasets.splits import SplitIndices
from jobs.labelling.header import ImageLimits
from jobs.spark import ExecutorLayout

if TYPE_CHECKING:
    from pyspark import Accumulator, SparkContext

_FORMAT = b"atoll image folder 1"  # change it when the same files are to give other pixels


@dataclass(frozen=True)
class PixelExtraction:
    """Decoding and resizing, as a frozen graph of Atoll's does it.

    Attributes:
        source: What to make of the images of which folder.
    """

    source: ImageFolderSource

    @property
    def said(self) -> tuple[bytes, object]:
        """The image's shape."""
        return _FORMAT, self.source.image_shape

    def start(self, context: "SparkContext", layout: ExecutorLayout, images: int) -> "PixelExtractor":
        """Is ready as it is."""
        return PixelExtractor(self.source, layout.cores)


@dataclass(frozen=True)
class PixelExtractor:
    """Decoding on executors of so many cores."""

    source: ImageFolderSource
    cores: int

    @property
    def shape(self) -> ImageShape:
        """Height, width and channels."""
        return self.source.image_shape

    @property
    def size(self) -> int:
        """A byte for each of them."""
        return prod(self.shape)

    def task(self, root: Path, shards: Path, done: "Accumulator[int]", quarantined: "Accumulator[int]") -> ShardTask:
        """Gives the task that decodes images below `root` into the folder `shards`."""
        limits = ImageLimits(self.source.max_megapixels, self.source.max_megabytes)
        return DecodePartition(root, self.shape, limits, self.cores, shards, done, quarantined)

    def finish(self, staged: Path, listed: ClassFolders, outcomes: Outcomes, splits: SplitIndices) -> ImageShape:
        """Leaves nothing besides."""
        return self.shape
