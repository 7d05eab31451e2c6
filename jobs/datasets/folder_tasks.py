"""The Spark tasks that read a folder of images: paths go to the executors, digests and the names of shards come back."""

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from jobs.files import open_regular
from jobs.labelling.formats import for_graph
from jobs.labelling.header import ImageLimits, check_image
from jobs.labelling.pixel_budget import PixelBudget
from jobs.labelling.rejection import ImageRejectedError
from jobs.results import QuarantineReason

if TYPE_CHECKING:
    from pyspark import Accumulator

_THREADS_PER_CORE = 2  # half of them wait for files while the others decode

Reason = Literal[QuarantineReason, "two_classes"]
"""Why an image is in no split; `two_classes`: its bytes lie in the folders of two classes, so its class is not known."""


@dataclass(frozen=True)
class Quarantined:
    """Why an image cannot be used, and one line for the person who looks into it."""

    reason: Reason
    detail: str


@dataclass(frozen=True)
class Shard:
    """What one finished task took from its images, as it lies in its file, and what became of each of them.

    Attributes:
        file: Name of the file: pixels, uint8, or features, float32, of one image after another, only of those that could be
            decoded.
        outcomes: For each image of the partition the digest of its bytes, or why it cannot be used.
    """

    file: str
    outcomes: tuple[bytes | Quarantined, ...]


@dataclass(frozen=True)
class HashPartition:
    """A Spark task that gives the digest of the bytes of each image, or why it cannot be read.

    Attributes:
        root: The folder of the classes.
    """

    root: Path

    def __call__(self, names: Iterator[str]) -> Iterator[bytes | Quarantined]:
        """Reads the files, never whole into memory."""
        for name in names:
            try:
                with open_regular(self.root / name) as file:
                    yield hashlib.file_digest(file, "sha256").digest()
            except OSError as error:
                yield unread(error)


@dataclass(frozen=True)
class DecodePartition:
    """A Spark task that decodes the images of one partition and writes their pixels as a shard.

    The file carries the attempt in its name, and the driver reads only those that a finished task names.

    Attributes:
        root: The folder of the classes.
        image_shape: Height, width and channels to give.
        limits: The largest image that is decoded.
        cores: Of the executor.
        shards: Folder to write to, which exists and which driver and executors mount.
        done: Counts images as they are finished, for the progress line.
        quarantined: Counts those of them that cannot be used.
    """

    root: Path
    image_shape: tuple[int, int, int]
    limits: ImageLimits
    cores: int
    shards: Path
    done: "Accumulator[int]"
    quarantined: "Accumulator[int]"

    def __call__(self, names: Iterator[str]) -> Iterator[Shard]:
        """Decodes the images; gives the shard."""
        from jobs.models.threads import use_cores

        use_cores(self.cores)
        outcomes: list[bytes | Quarantined] = []
        file = self.shards / shard_name()
        with file.open("wb") as shard:
            for outcome in self._decoded(names):
                if isinstance(outcome, Quarantined):
                    outcomes.append(outcome)
                    self.quarantined.add(1)
                else:
                    digest, pixels = outcome
                    outcomes.append(digest)
                    shard.write(pixels.tobytes())
                self.done.add(1)
        yield Shard(file.name, tuple(outcomes))

    def _decoded(self, names: Iterator[str]) -> Iterator[tuple[bytes, NDArray[np.uint8]] | Quarantined]:
        """Gives what becomes of each image, in the order of the names; a few are read and decoded ahead."""
        budget = PixelBudget(int(self.limits.megapixels * 1e6))
        threads = self.cores * _THREADS_PER_CORE
        ahead: deque[Future[tuple[bytes, NDArray[np.uint8]] | Quarantined]] = deque()
        with ThreadPoolExecutor(threads, "decode") as pool:
            for name in islice(names, 2 * threads):
                ahead.append(pool.submit(self._decode, name, budget))
            while ahead:
                outcome = ahead.popleft().result()
                for name in islice(names, 1):
                    ahead.append(pool.submit(self._decode, name, budget))
                yield outcome

    def _decode(self, name: str, budget: PixelBudget) -> tuple[bytes, NDArray[np.uint8]] | Quarantined:
        from jobs.datasets.decoding import decode_image

        try:
            with open_regular(self.root / name) as file:
                encoded = file.read(self.limits.bytes + 1)
            header = check_image(encoded, self.limits)
            with budget.reserve(header.stored.pixels):
                return hashlib.sha256(encoded).digest(), decode_image(for_graph(encoded, header), self.image_shape)
        except ImageRejectedError as rejected:
            return Quarantined(rejected.reason, rejected.detail)
        except OSError as error:
            return unread(error)


def unread(error: OSError) -> Quarantined:
    """Says why a file could not be read."""
    return Quarantined("fetch_failed", f"{type(error).__name__}: {error.strerror or error}")


def shard_name() -> str:
    """Names the file of this attempt at this partition."""
    from pyspark import TaskContext

    task = TaskContext.get()
    number, attempt = (task.partitionId(), task.taskAttemptId()) if task else (0, 0)
    return f"shard-{number:06d}-{attempt}.bin"
