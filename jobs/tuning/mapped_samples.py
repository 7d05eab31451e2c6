"""A split that is sent to the executors by its name."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.split_file import map_split
from jobs.models.training import Samples


class MappedSamples(Samples):
    """A split as it lies in the workspace: what is pickled is its path, and each process maps the file when it first looks.

    So a data set may be larger than a broadcast or a memory, and executors on one machine share its pages. A file that an
    executor does not see is a failure of its trial, with this as the reason.

    Attributes:
        path: The split's file, which every executor mounts.
    """

    path: Path

    def __init__(self, path: Path) -> None:
        """Takes the file; nothing is read yet."""
        object.__setattr__(self, "path", path)

    def __reduce__(self) -> tuple[type["MappedSamples"], tuple[Path]]:
        """Leaves what is mapped behind."""
        return MappedSamples, (self.path,)

    @cached_property
    def _mapped(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        return map_split(self.path)

    @property
    def inputs(self) -> NDArray[Any]:
        """uint8, shape (samples, height, width, channels), values 0 to 255; or float32, shape (samples, features)."""
        return self._mapped[0]

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64, shape (samples,)."""
        return self._mapped[1]
