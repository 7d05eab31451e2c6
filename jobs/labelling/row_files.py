"""The Parquet files of a labelled day, wherever they lie: what every reader of a published day goes through."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.labelling.object_destination import ObjectDestination
from jobs.object_place import ObjectPlace
from jobs.object_store import arrow_files
from jobs.workspace import Workspace

Kind = Literal["labels", "quarantine"]
KINDS: tuple[Kind, Kind] = ("labels", "quarantine")


@dataclass(frozen=True)
class RowFiles:
    """The files of labels, or of quarantine, at one moment.

    Attributes:
        paths: On `files`, in order.
        stamp: Changes when the day is published anew.
        files: Arrow's file system.
    """

    paths: tuple[str, ...]
    stamp: str
    files: Any

    @classmethod
    def on_disk(cls, paths: Sequence[Path], stamp: str = "") -> "RowFiles":
        """Names files that this machine mounts."""
        return cls(tuple(map(str, paths)), stamp, _local())

    @classmethod
    def in_folder(cls, folder: Path) -> "RowFiles":
        """Finds the files of a folder that this machine mounts.

        Raises:
            FileNotFoundError: There is no such folder.
        """
        found = folder.stat()  # another folder is swapped in when it is published anew
        paths = [path for path in folder.glob("*.parquet") if not path.name.startswith((".", "_"))]
        return cls.on_disk(sorted(paths), f"{found.st_ino}-{found.st_mtime_ns}")

    @classmethod
    def in_store(cls, places: Sequence[ObjectPlace], stamp: str) -> "RowFiles":
        """Names objects."""
        return cls(tuple(f"{place.bucket}/{place.key}" for place in places), stamp, arrow_files())

    def tables(self, columns: Sequence[str] | None = None, **options: Any) -> list[pa.Table]:
        """Reads each file; `options` are those of `pyarrow.parquet.read_table`."""
        return [self.table(number, columns, **options) for number in range(len(self.paths))]

    def table(self, number: int, columns: Sequence[str] | None = None, **options: Any) -> pa.Table:
        """Reads one file."""
        wanted = list(columns) if columns is not None else None
        return pq.read_table(self.paths[number], columns=wanted, filesystem=self.files, partitioning=None, **options)

    def open(self, number: int) -> Any:
        """Opens one file, of which nothing but its footer is read."""
        return pq.ParquetFile(self.paths[number], filesystem=self.files)

    def count(self) -> int:
        """Counts the rows, from the footers."""
        return sum(self.open(number).metadata.num_rows for number in range(len(self.paths)))


def published_rows(workspace: Workspace, kind: Kind, image_set: str, day: date) -> RowFiles:
    """Finds what readers may see of a day now.

    Raises:
        FileNotFoundError: It is not published.
    """
    place = workspace.labels(image_set, day) if kind == "labels" else workspace.quarantine(image_set, day)
    if isinstance(place, Path):
        return RowFiles.in_folder(place)
    destination = ObjectDestination.of_day(workspace, image_set, day)
    found = destination.published()
    if found is None:
        raise FileNotFoundError(2, "not published", str(place))
    names = found.pointer.labels if kind == "labels" else found.pointer.quarantine
    return RowFiles.in_store(destination.places(names), found.pointer.run)


@lru_cache(maxsize=1)
def _local() -> Any:
    from pyarrow.fs import LocalFileSystem

    return LocalFileSystem()
