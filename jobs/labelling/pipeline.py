"""One partition's images through the graph: threads read and decode ahead while the last batch is inferred."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.labelling.header import ImageLimits, ImageSize, check_image
from jobs.labelling.image_source import ImageReader, printable
from jobs.labelling.pixel_budget import PixelBudget
from jobs.labelling.rejection import ImageRejectedError
from jobs.labelling.schema import LabelledImage, QuarantinedImage
from jobs.labelling.top_labels import top_labels

if TYPE_CHECKING:
    from jobs.models.frozen_graph import FrozenGraph


@dataclass(frozen=True)
class PipelineSettings:
    """How a partition is worked through.

    Attributes:
        limits: The largest image that is decoded.
        batch_size: Images inferred at once.
        top_k: Labels given for each image.
        threads: That read and decode.
    """

    limits: ImageLimits
    batch_size: int
    top_k: int
    threads: int


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

    def run(self, names: Iterable[str]) -> Iterator[LabelledImage | QuarantinedImage]:
        """Gives one row for each name; reads at most two batches ahead."""
        batch: list[_Prepared] = []
        for image in self._prepared(names):
            if isinstance(image, QuarantinedImage):
                yield image
                continue
            batch.append(image)
            if len(batch) == self._settings.batch_size:
                yield from self._infer(batch)
                batch = []
        if batch:
            yield from self._infer(batch)

    def _prepared(self, names: Iterable[str]) -> Iterator[_Prepared | QuarantinedImage]:
        waiting = iter(names)
        ahead: deque[Future[_Prepared | QuarantinedImage]] = deque()
        with ThreadPoolExecutor(self._settings.threads, "decode") as threads:
            for name in islice(waiting, 2 * self._settings.batch_size):
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
                return _Prepared(name, size, self._graph.prepare(encoded))
        except ImageRejectedError as rejected:
            return QuarantinedImage(printable(name), rejected.reason, rejected.detail)
        except ImageDecodeError as error:
            return QuarantinedImage(printable(name), "unreadable", str(error))

    def _infer(self, batch: list[_Prepared]) -> Iterator[LabelledImage | QuarantinedImage]:
        from jobs.models.frozen_graph import ImageDecodeError

        try:
            scores = self._graph.scores([image.tensor for image in batch])
        except ImageDecodeError as error:
            if len(batch) == 1:
                yield QuarantinedImage(printable(batch[0].name), "unreadable", str(error))
                return
            for image in batch:  # one of them spoils the batch: find out which
                yield from self._infer([image])
            return
        now = datetime.now(UTC)
        for image, row in zip(batch, scores, strict=True):
            if not np.isfinite(row).all():
                yield QuarantinedImage(
                    printable(image.name), "unreadable", "the graph gives scores that are not finite"
                )
                continue
            best = top_labels(row, self._labels, self._settings.top_k)
            yield LabelledImage(printable(image.name), best, image.size.width, image.size.height, now)
