"""One partition's images through the graph: threads read and decode ahead while others infer a batch each."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jobs.labelling.header import ImageLimits, ImageSize, check_image
from jobs.labelling.image_source import ImageReader, printable
from jobs.labelling.pixel_budget import PixelBudget
from jobs.labelling.rejection import ImageRejectedError
from jobs.labelling.schema import FeaturedImage, LabelledImage, QuarantinedImage
from jobs.labelling.top_labels import top_labels

if TYPE_CHECKING:
    from jobs.models.frozen_graph import FrozenGraph


Row = LabelledImage | FeaturedImage | QuarantinedImage


@dataclass(frozen=True)
class PipelineSettings:
    """How a partition is worked through.

    Attributes:
        limits: The largest image that is decoded.
        batch_size: Images inferred at once.
        top_k: Labels given for each image; None to give what the graph gives, as features.
        threads: That read and decode.
        streams: Batches inferred side by side, each on one core.
    """

    limits: ImageLimits
    batch_size: int
    top_k: int | None
    threads: int
    streams: int


@dataclass(frozen=True)
class _Prepared:
    name: str
    size: ImageSize
    tensor: Any


class LabellingPipeline:
    """Labels images with one graph."""

    def __init__(
        self, reader: ImageReader, graph: "FrozenGraph", labels: tuple[str, ...], settings: PipelineSettings
    ) -> None:
        """Takes what it needs.

        Args:
            reader: Reads the encoded images.
            graph: Gives one score per label.
            labels: One per class.
            settings: Limits and sizes.
        """
        self._reader = reader
        self._graph = graph
        self._labels = labels
        self._settings = settings
        self._budget = PixelBudget(int(settings.limits.megapixels * 1e6))

    def run(self, names: Iterable[str]) -> Iterator[Row]:
        """Gives one row for each name; reads ahead no further than keeps every stream busy."""
        batch: list[_Prepared] = []
        inferring: deque[Future[list[Row]]] = deque()
        with ThreadPoolExecutor(self._settings.streams, "infer") as streams:
            for image in self._prepared(names):
                if isinstance(image, QuarantinedImage):
                    yield image
                    continue
                batch.append(image)
                if len(batch) == self._settings.batch_size:
                    inferring.append(streams.submit(self._infer, batch))
                    batch = []
                if len(inferring) > self._settings.streams:
                    yield from inferring.popleft().result()
            if batch:
                inferring.append(streams.submit(self._infer, batch))
            while inferring:
                yield from inferring.popleft().result()

    def _prepared(self, names: Iterable[str]) -> Iterator[_Prepared | QuarantinedImage]:
        waiting = iter(names)
        in_reach = self._settings.threads + (self._settings.streams + 1) * self._settings.batch_size
        ahead: deque[Future[_Prepared | QuarantinedImage]] = deque()
        with ThreadPoolExecutor(self._settings.threads, "decode") as threads:
            for name in islice(waiting, in_reach):
                ahead.append(threads.submit(self._prepare, name))
            while ahead:
                image = ahead.popleft().result()
                for name in islice(waiting, 1):
                    ahead.append(threads.submit(self._prepare, name))
                yield image

    def _prepare(self, name: str) -> _Prepared | QuarantinedImage:
        from jobs.models.frozen_graph import ImageDecodeError

        try:
            encoded = self._reader.read(name)
            size = check_image(encoded, self._settings.limits)
            with self._budget.reserve(size.pixels):
                return _Prepared(name, size, self._graph.prepare(encoded, (size.width, size.height)))
        except ImageRejectedError as rejected:
            return QuarantinedImage(printable(name), rejected.reason, rejected.detail)
        except ImageDecodeError as error:
            return QuarantinedImage(printable(name), "unreadable", str(error))

    def _infer(self, batch: list[_Prepared]) -> list[Row]:
        from jobs.models.frozen_graph import ImageDecodeError

        try:
            scores = self._graph.scores([image.tensor for image in batch])
        except ImageDecodeError as error:
            if len(batch) == 1:
                return [QuarantinedImage(printable(batch[0].name), "unreadable", str(error))]
            return [row for image in batch for row in self._infer([image])]  # one spoils the batch: find out which
        now = datetime.now(UTC)
        return [self._row(image, row, now) for image, row in zip(batch, scores, strict=True)]

    def _row(self, image: _Prepared, scores: NDArray[np.float32], now: datetime) -> Row:
        name = printable(image.name)
        if not np.isfinite(scores).all():
            return QuarantinedImage(name, "unreadable", "the graph gives numbers that are not finite")
        if self._settings.top_k is None:
            return FeaturedImage(name, scores, image.size.width, image.size.height, now)
        best = top_labels(scores, self._labels, self._settings.top_k)
        return LabelledImage(name, best, image.size.width, image.size.height, now)
