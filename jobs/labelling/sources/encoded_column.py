"""A Parquet column of encoded images: bytes that executors read a row group at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.errors import InvalidImageSetError
from jobs.labelling.rejection import ImageRejectedError
from jobs.labelling.sources.image_set import IMAGE, LOCATION, ImageSet, UnreadImage, listed
from jobs.labelling.sources.place import open_for_user, open_place

_ACCEPTED = "a Parquet file, or a folder of them"
_BYTES_AT_ONCE = 16_000_000
"""Of images that are in memory before they are asked for."""

_LARGEST_PARTITION = 4096
"""A partition must pass over the rows of its row group that come before it, so large row groups get large partitions."""


@dataclass(frozen=True)
class EncodedColumn:
    """Parquet with a column of encoded images.

    Attributes:
        place: A Parquet file or a folder of them, as a path or URL.
        column: The binary column; `image.bytes` is the field `bytes` of the column `image`.
        name: The column that names the images; None to name them by file and row.
        carry: Columns to carry through to the output.
    """

    place: str
    column: str
    name: str | None
    carry: tuple[str, ...]

    def __str__(self) -> str:
        return self.place

    def load(self) -> ImageSet:
        """Reads the names and the columns to carry, and where the row groups begin, but no image.

        Raises:
            InvalidImageSetError: It is no Parquet, lacks a column, or holds no row.
        """
        files, root = open_for_user(self.place, _ACCEPTED)
        try:
            parts = [self._list_file(files, path) for path in _parquet_files(files, root)]
        except (pa.ArrowException, ValueError) as error:
            raise InvalidImageSetError(
                f"{self.place}: {' '.join(str(error).split())[:200]}; accepted: {_ACCEPTED}"
            ) from None
        except OSError as error:
            raise InvalidImageSetError(f"{self.place}: {error.strerror or error}; accepted: {_ACCEPTED}") from None
        tables = [table for table, _ in parts if table.num_rows]
        if not tables:
            raise InvalidImageSetError(f"{self.place}: holds no row; accepted: {_ACCEPTED}")
        try:
            images = pa.concat_tables(tables)
        except pa.ArrowException as error:
            raise InvalidImageSetError(f"{self.place}: its files differ: {str(error).splitlines()[0]}") from None
        largest = max(rows for _, rows in parts)
        scheme = self.place.partition("://")[0] + "://" if "://" in self.place else ""
        return ImageSet(images, ColumnReading(scheme, self.column), min(max(128, largest), _LARGEST_PARTITION))

    def _list_file(self, files: Any, path: str) -> tuple[pa.Table, int]:
        with files.open(path, "rb") as opened:
            parquet = pq.ParquetFile(opened)
            self._check_columns(parquet.schema_arrow, path)
            table = parquet.read(columns=[*([self.name] if self.name else []), *self.carry])
            sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
        numbers = [f"{PurePosixPath(path).name}#{row}" for row in range(sum(sizes))]
        names = table[self.name].cast(pa.string()).to_pylist() if self.name else numbers
        shown = [name or number for name, number in zip(names, numbers, strict=True)]
        places = [f"{path}#{group}#{row}" for group, rows in enumerate(sizes) for row in range(rows)]
        return listed(shown, places, table.select(list(self.carry))), max(sizes, default=0)

    def _check_columns(self, schema: pa.Schema, path: str) -> None:
        outer = self.column if self.column in schema.names else self.column.partition(".")[0]
        for name in (outer, *([self.name] if self.name else []), *self.carry):
            if name not in schema.names:
                raise InvalidImageSetError(f"{path}: no column {name!r}; accepted: {', '.join(schema.names)}")
        kind = _field(schema, self.column)
        if kind is None or not any(check(kind) for check in (pa.types.is_binary, pa.types.is_large_binary)):
            raise InvalidImageSetError(
                f"{path}: column {self.column!r} holds {kind or schema.field(outer).type}; accepted: binary"
            )


@dataclass(frozen=True)
class ColumnReading:
    """Reads a binary column from the start of a partition to its end.

    Attributes:
        scheme: Of the files, with `://`; empty for paths.
        column: As in `EncodedColumn`.
    """

    scheme: str
    column: str

    at_once: None = None

    def open(self, images: pa.Table) -> Iterator[UnreadImage]:
        """Gives the images of one partition; a few rows are read ahead of what is asked for."""
        names = images[IMAGE].to_pylist()
        row = 0
        for path, group, first, count in _runs(images[LOCATION].to_pylist()):
            end = row + count
            try:
                for content in self._contents(path, group, first, count):
                    held = len(content.as_buffer()) if content.is_valid else 0
                    yield UnreadImage(row, names[row], partial(_content, content), held)
                    row += 1
            except (pa.ArrowException, OSError, ValueError) as error:
                detail = f"{path}, row group {group}: {' '.join(str(error).split())}"[:300]
                for rest in range(row, end):
                    yield UnreadImage(rest, names[rest], partial(_unreadable, detail))
                row = end

    def _contents(self, path: str, group: int, first: int, count: int) -> Iterator[Any]:
        files, opened_path = open_place(f"{self.scheme}{path}")
        with files.open(opened_path, "rb") as opened:
            parquet = pq.ParquetFile(opened, buffer_size=1 << 20)
            rows = _rows_at_once(parquet.metadata.row_group(group), self.column)
            seen = 0
            for batch in parquet.iter_batches(rows, row_groups=[group], columns=[self.column]):
                wanted = batch.column(0).slice(max(0, first - seen))
                seen += batch.num_rows
                if pa.types.is_struct(wanted.type):
                    wanted = wanted.flatten()[0]
                yield from wanted.slice(0, count)
                count -= len(wanted)
                if count <= 0:
                    return
        raise ValueError(f"ends {count} rows early")


def _rows_at_once(group: Any, column: str) -> int:
    """Chooses how many rows to decode together, so that they take some megabytes."""
    columns = (group.column(number) for number in range(group.num_columns))
    size = next((one.total_uncompressed_size for one in columns if one.path_in_schema == column), 0)
    return max(1, min(64, int(_BYTES_AT_ONCE * group.num_rows // max(1, size))))


def _unreadable(detail: str, limit: int) -> bytes:
    raise ImageRejectedError("fetch_failed", detail)


def _content(content: Any, limit: int) -> bytes:
    if not content.is_valid:
        raise ImageRejectedError("empty", "null")
    if len(content.as_buffer()) > limit:
        raise ImageRejectedError("too_large", f"more than {limit / 1e6:g} MB")
    return bytes(content.as_py())


def _runs(locations: list[bytes]) -> Iterator[tuple[str, int, int, int]]:
    """Gives path, row group, first row and number of rows for each stretch of one row group."""
    places = (location.decode("utf-8", "surrogateescape").rsplit("#", 2) for location in locations)
    for (path, group), rows in groupby(places, key=lambda place: (place[0], place[1])):
        numbers = [int(row) for _, _, row in rows]
        yield path, int(group), numbers[0], len(numbers)


def _parquet_files(files: Any, root: str) -> list[str]:
    if files.isfile(root):
        return [root]
    found = sorted(path for path in files.find(root) if path.endswith(".parquet"))
    visible = [path for path in found if not any(part.startswith((".", "_")) for part in path[len(root) :].split("/"))]
    if not visible:
        raise FileNotFoundError(2, "no Parquet file there")
    return visible


def _field(schema: pa.Schema, column: str) -> pa.DataType | None:
    if column in schema.names:
        return schema.field(column).type
    outer, _, inner = column.partition(".")
    kind = schema.field(outer).type
    return kind.field(inner).type if pa.types.is_struct(kind) and kind.get_field_index(inner) >= 0 else None
