"""What every source of a data set gives, and the checks that all of them must pass."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.errors import InvalidDatasetError


@dataclass(frozen=True)
class SourceImages:
    """All labelled images of a source.

    Attributes:
        images: uint8, shape (samples, height, width, channels), values 0 to 255.
        labels: int64, shape (samples,), each an index into `classes`.
        classes: Names of the classes.
        test_from: Index of the first sample of the test split that the source publishes, which then runs to the end; None
            where it publishes none.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    test_from: int | None = None

    def check(self, name: str) -> None:
        """Checks counts, shapes and the range of the labels.

        Args:
            name: How messages name the source.

        Raises:
            InvalidDatasetError: Something does not fit; the message says what and what would.
        """
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise InvalidDatasetError(
                f"{name}: images: {self.images.dtype} of shape {self.images.shape}; "
                "accepted: uint8 of shape (samples, height, width, channels)"
            )
        if len(self.images) != len(self.labels):
            raise InvalidDatasetError(
                f"{name}: {len(self.images)} images but {len(self.labels)} labels; accepted: as many"
            )
        if len(self.labels) == 0:
            raise InvalidDatasetError(f"{name}: no images; accepted: at least one for each class in each split")
        outside = (self.labels < 0) | (self.labels >= len(self.classes))
        if outside.any():
            first = int(np.argmax(outside))
            raise InvalidDatasetError(
                f"{name}: label of sample {first}: {int(self.labels[first])}; accepted: 0 to {len(self.classes) - 1}"
            )
