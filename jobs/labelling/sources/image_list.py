"""A list of paths and URLs, in a text, CSV or Parquet file, with columns to carry through to the output."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from jobs.errors import InvalidImageSetError
from jobs.labelling.fetching.settings import FetchSettings
from jobs.labelling.sources.file_reading import FileReading
from jobs.labelling.sources.image_set import ImageSet, listed
from jobs.labelling.sources.place import open_for_user, protocol
from jobs.printing import without_credentials

LIST_NAMES = ("images.txt", "images.csv", "images.parquet")
"""A folder of the workspace that holds only a file of one of these names stands for the list in it."""

_FORMATS = (".txt", ".csv", ".parquet")
_ACCEPTED = f"a list of paths and URLs ({', '.join(_FORMATS)})"
_DEFAULT_COLUMNS = ("image", "url", "path")


@dataclass(frozen=True)
class ListOfImages:
    """A list of images, one per line or row; each row gives one row of labels or of quarantine.

    Attributes:
        file: The list, as a path or URL: `.txt` with one image per line, `.csv` with a header, or `.parquet`. Relative paths in
            it are relative to the folder of the list.
        column: The column of paths and URLs; None for the only one, or `image`, `url` or `path`.
        carry: Columns to carry through to the output.
        fetch: How URLs are fetched.
    """

    file: str
    column: str | None
    carry: tuple[str, ...]
    fetch: FetchSettings

    def __str__(self) -> str:
        return self.file

    def load(self) -> ImageSet:
        """Reads the list.

        Raises:
            InvalidImageSetError: It cannot be read, has no such column, or names no image.
        """
        names, carried = self._read()
        if not names:
            raise InvalidImageSetError(f"{self.file}: names no image; accepted: {_ACCEPTED}")
        shown = [  # in the labels and on the pages, which many may read
            without_credentials(name) or f"{PurePosixPath(self.file).name}, row {row}"
            for row, name in enumerate(names, start=1)
        ]
        remote = any(protocol(name) not in ("", "file") for name in names)
        _, path = open_for_user(self.file, _ACCEPTED)
        root = self.file if protocol(self.file) else path
        reading = FileReading(root.rpartition("/")[0], self.fetch, remote)
        return ImageSet(listed(shown, names, carried), reading, reading.smallest_partition)

    def _read(self) -> tuple[list[str], pa.Table | None]:
        suffix = PurePosixPath(self.file).suffix.lower()
        if suffix not in _FORMATS:
            raise InvalidImageSetError(f"{self.file}: ends in {suffix or 'no suffix'}; accepted: {_ACCEPTED}")
        files, path = open_for_user(self.file, _ACCEPTED)
        try:
            if suffix == ".txt":
                return self._lines(files, path), None
            table = self._csv(files, path) if suffix == ".csv" else self._parquet(files, path)
        except (pa.ArrowException, ValueError) as error:
            raise InvalidImageSetError(
                f"{self.file}: {' '.join(str(error).split())[:200]}; accepted: {_ACCEPTED}"
            ) from None
        except OSError as error:
            raise InvalidImageSetError(f"{self.file}: {error.strerror or error}; accepted: {_ACCEPTED}") from None
        column = self._column(table.column_names)
        if not is_text(table.schema.field(column).type):
            raise InvalidImageSetError(
                f"{self.file}: column {column!r} holds {table.schema.field(column).type}; accepted: text, or --image-bytes"
            )
        names = [(name or "").strip() for name in table[column].cast(pa.string()).to_pylist()]
        return names, table.select(list(self.carry))

    def _lines(self, files: Any, path: str) -> list[str]:
        for name, value in (("--column", self.column), ("--carry", self.carry)):
            if value:
                raise InvalidImageSetError(
                    f"{self.file}: {name}: a text file has no columns; accepted: .csv or .parquet"
                )
        text: str = files.cat_file(path).removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
        return [line.strip() for line in text.splitlines() if line.strip()]

    def _csv(self, files: Any, path: str) -> pa.Table:
        with files.open(path, "rb") as file:
            header = pyarrow.csv.open_csv(file).schema.names
        column = self._column(header)
        options = pyarrow.csv.ConvertOptions(
            include_columns=self._wanted(header),
            column_types={column: pa.string()},
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        )
        with files.open(path, "rb") as file:
            parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
            return pyarrow.csv.read_csv(file, parse_options=parse, convert_options=options)

    def _parquet(self, files: Any, path: str) -> pa.Table:
        header = pq.read_schema(path, filesystem=files).names
        return pq.read_table(path, filesystem=files, columns=self._wanted(header))

    def _wanted(self, header: list[str]) -> list[str]:
        return list(dict.fromkeys([self._column(header), *self.carry]))

    def _column(self, header: list[str]) -> str:
        for name in (*([self.column] if self.column else []), *self.carry):
            if name not in header:
                raise InvalidImageSetError(f"{self.file}: no column {name!r}; accepted: {', '.join(header)}")
        if self.column:
            return self.column
        if len(header) == 1:
            return header[0]
        for name in _DEFAULT_COLUMNS:
            if name in header:
                return name
        raise InvalidImageSetError(
            f"{self.file}: which column names the images? accepted: --column with one of {', '.join(header)}"
        )


def is_text(kind: pa.DataType) -> bool:
    """Says whether a column holds text, or null alone."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(check(value) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_null))
