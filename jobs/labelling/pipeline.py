"""One partition's images through the graph: threads read and decode ahead while others infer a batch each."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from jobs.labelling.formats import for_graph, goes_as_it_is, upright_pixels
from jobs.labelling.header import ImageHeader, ImageLimits, ImageSize, check_image
from jobs.labelling.pixel_budget import PixelBudget
from jobs.labelling.rejection import ImageRejectedError
from jobs.labelling.schema import FeaturedImage, LabelledImage, QuarantinedImage, Row
from jobs.labelling.sources.image_set import UnreadImage
from jobs.labelling.top_labels import top_labels
from jobs.models.memory import trim_memory

if TYPE_CHECKING:
    from jobs.models.frozen_graph import FrozenGraph


_THREADS_PER_CORE = 2
"""Half of them wait for files while the others decode."""


@dataclass(frozen=True)
class PipelineSettings:
    """How a partition is worked through.

    Attributes:
        limits: The largest image that is decoded.
        batch_size: Images inferred at once.
        top_k: Labels given for each image; None to give what the graph gives, as features.
        threads: That decode, and read what lies nearby.
        streams: Batches inferred side by side, each on one core.
        reads_at_once: Images read at once where each waits for a network; None to read with the threads that decode.
    """

    limits: ImageLimits
    batch_size: int
    top_k: int | None
    threads: int
    streams: int
    reads_at_once: int | None = None

    @classmethod
    def on_cores(
        cls, cores: int, limits: ImageLimits, batch_size: int, top_k: int | None, reads_at_once: int | None = None
    ) -> Self:
        """Gives the settings for an executor of so many cores."""
        return cls(limits, batch_size, top_k, cores * _THREADS_PER_CORE, cores, reads_at_once)

    @property
    def readers(self) -> int:
        """Threads that read, and then decode in turn."""
        return max(self.threads, self.reads_at_once or 0)

    @property
    def ahead(self) -> int:
        """Images that are being read or decoded, or wait for their batch: enough for every stream and one batch more."""
        return self.readers + (self.streams + 1) * self.batch_size


_MEMORY = 256_000_000
"""Bytes of encoded images that a partition may hold at once, beside a large one, or one for each thread that decodes."""

_LARGE = 16_000_000
"""Bytes of an encoded image from which on it is read, from a file nearby, only while no other is decoded."""

_MANY_PIXELS = 16_000_000
"""Of an image for which it pays to make room first."""


@dataclass(frozen=True)
class _Prepared:
    row: int
    name: str
    size: ImageSize
    tensor: Any


Labelled = tuple[int, Row]
"""An image's position in its partition, and what became of it."""


class LabellingPipeline:
    """Labels images with one graph."""

    def __init__(self, graph: "FrozenGraph", labels: tuple[str, ...], settings: PipelineSettings) -> None:
        """Takes what it needs.

        Args:
            graph: Gives one score per label.
            labels: One per class.
            settings: Limits and sizes.
        """
        self._graph = graph
        self._labels = labels
        self._settings = settings
        self._most_pixels = int(settings.limits.megapixels * 1e6)
        self._pixels = PixelBudget(self._most_pixels)
        # What layers give for a batch takes as much memory: so none is inferred beside one of the largest images.
        self._pixels_of_a_batch = self._most_pixels // 8 if self._most_pixels > _MANY_PIXELS else 0
        self._decoding = threading.Semaphore(settings.threads)

    def run(self, images: Iterable[UnreadImage]) -> Iterator[Labelled]:
        """Gives one row for each image, in the order in which they are ready: a slow server holds up nobody else's."""
        batch: list[_Prepared] = []
        inferring: set[Future[list[Labelled]]] = set()
        with ThreadPoolExecutor(self._settings.streams, "infer") as streams:
            for image in self._prepared(images):
                if not isinstance(image, _Prepared):
                    yield image
                    continue
                batch.append(image)
                if len(batch) == self._settings.batch_size:
                    inferring.add(streams.submit(self._infer, batch))
                    batch = []
                if len(inferring) > self._settings.streams:
                    done, inferring = wait(inferring, return_when=FIRST_COMPLETED)
                    yield from _rows_of(done)
            if batch:
                inferring.add(streams.submit(self._infer, batch))
            yield from _rows_of(as_completed(inferring))

    def _prepared(self, images: Iterable[UnreadImage]) -> Iterator[_Prepared | Labelled]:
        """Keeps the threads busy with as many images as may be ahead, and as fit in memory."""
        waiting = iter(images)
        finished: SimpleQueue[Future[_Prepared | Labelled]] = SimpleQueue()
        held: dict[Future[_Prepared | Labelled], int] = {}
        with ThreadPoolExecutor(self._settings.readers, "read") as threads:
            while True:
                while len(held) < self._settings.ahead and sum(held.values()) < _MEMORY:
                    image = next(waiting, None)
                    if image is None:
                        break
                    future = threads.submit(self._prepare, image)
                    held[future] = image.held
                    future.add_done_callback(finished.put)
                if not held:
                    return
                done = finished.get()
                del held[done]
                yield done.result()

    def _prepare(self, image: UnreadImage) -> _Prepared | Labelled:
        from jobs.models.frozen_graph import ImageDecodeError

        try:
            encoded = self._read_if_small(image)
            with self._decoding:
                if encoded is not None:
                    return self._decode(image, encoded)
                if self._settings.reads_at_once:  # a slow server holds up nobody else's
                    return self._decode(image, image.read(self._settings.limits.bytes))
                with self._pixels.reserve(self._most_pixels):
                    encoded = image.read(self._settings.limits.bytes)
                    return self._decode_checked(image, encoded, check_image(encoded, self._settings.limits))
        except ImageRejectedError as rejected:
            return image.row, QuarantinedImage(image.name, rejected.reason, rejected.detail)
        except ImageDecodeError as error:
            return image.row, QuarantinedImage(image.name, "unreadable", str(error))

    def _read_if_small(self, image: UnreadImage) -> bytes | None:
        """Gives None where an image is to be read again, beside few others; nothing of it is in memory then."""
        limit = self._settings.limits.bytes
        small = min(limit, _LARGE, _MEMORY // self._settings.readers)
        try:
            return image.read(small)
        except ImageRejectedError as rejected:
            if rejected.reason != "too_large" or small == limit:
                raise
            return None

    def _decode(self, image: UnreadImage, encoded: bytes) -> _Prepared:
        header = check_image(encoded, self._settings.limits)
        with self._pixels.reserve(header.size.pixels):
            return self._decode_checked(image, encoded, header)

    def _decode_checked(self, image: UnreadImage, encoded: bytes, header: ImageHeader) -> _Prepared:
        size = header.size
        if size.pixels > _MANY_PIXELS:
            trim_memory()
        if self._graph.takes_pixels and not goes_as_it_is(header):
            tensor = self._graph.prepare_pixels(upright_pixels(encoded, header))
        else:
            tensor = self._graph.prepare(for_graph(encoded, header), (size.width, size.height))
        return _Prepared(image.row, image.name, size, tensor)

    def _infer(self, batch: list[_Prepared]) -> list[Labelled]:
        from jobs.models.frozen_graph import ImageDecodeError

        try:
            with self._pixels.reserve(self._pixels_of_a_batch):
                scores = self._graph.scores([image.tensor for image in batch])
        except ImageDecodeError as error:
            if len(batch) == 1:
                return [(batch[0].row, QuarantinedImage(batch[0].name, "unreadable", str(error)))]
            return [row for image in batch for row in self._infer([image])]  # one spoils the batch: find out which
        now = datetime.now(UTC)
        return [(image.row, self._row(image, row, now)) for image, row in zip(batch, scores, strict=True)]

    def _row(self, image: _Prepared, scores: NDArray[np.float32], now: datetime) -> Row:
        if not np.isfinite(scores).all():
            return QuarantinedImage(image.name, "unreadable", "the graph gives numbers that are not finite")
        if self._settings.top_k is None:
            return FeaturedImage(image.name, scores, image.size.width, image.size.height, now)
        best = top_labels(scores, self._labels, self._settings.top_k)
        return LabelledImage(image.name, best, image.size.width, image.size.height, now)


def _rows_of(batches: Iterable[Future[list[Labelled]]]) -> Iterator[Labelled]:
    for batch in batches:
        yield from batch.result()
