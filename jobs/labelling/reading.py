"""Reading what was published: which days there are, the labels of one, and why an image is in quarantine."""

import operator
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial, reduce
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.errors import InvalidImageSetError
from jobs.labelling.object_destination import published_days
from jobs.labelling.recent import Recent, published
from jobs.labelling.row_files import RowFiles, published_rows
from jobs.labelling.schema import LABELS, QUARANTINE, ModelStamp, ScoredLabel
from jobs.object_place import ObjectPlace, Place
from jobs.object_store import folders
from jobs.workspace import Workspace

Order = Literal["least", "most", "name"]
"""How images are sorted: the least certain first, the most certain first, or by name."""

_DAY = re.compile(r"ds=(\d{4}-\d{2}-\d{2})")

_COLUMNS = ("image", "label", "score", "model_name", "model_version", "graph_sha256", "width", "height")
"""What is kept of each row; `top_k` is five times as large as the rest and is read for the rows that are shown."""

_STAMP = ("model_name", "model_version", "graph_sha256")
_DICTIONARIES = ("label", "model_name", "graph_sha256")
_KEPT_BYTES = 256 * 1024 * 1024
_THREADS = 8
_SELECTED = 20
"""Up to one of so many rows, the first are found faster by a heap than by putting all in order."""


@dataclass(frozen=True)
class Wanted:
    """Which rows of a day are asked for.

    Attributes:
        label: Only those with this label; None for all.
        lowest: Smallest score; None for any.
        highest: Largest score; None for any.
        text: Only images whose name contains it, whatever the case.
        order: How they are sorted.
    """

    label: str | None = None
    lowest: float | None = None
    highest: float | None = None
    text: str = ""
    order: Order = "least"


@dataclass(frozen=True)
class LabelledRow:
    """One row of labels.

    Attributes:
        image: Its name in the image set.
        label: The best label.
        score: Of that label.
        width: In pixels.
        height: In pixels.
        model_name: The model that gave the label.
        model_version: Its version; None for a graph that is not from the registry.
        graph_sha256: Checksum of the graph.
        top_k: The best labels, best first.
    """

    image: str
    label: str
    score: float
    width: int
    height: int
    model_name: str
    model_version: int | None
    graph_sha256: str
    top_k: tuple[ScoredLabel, ...]


class SortedRows:
    """Rows of a table in an order, of which only those that are shown are put in order and copied.

    Attributes:
        num_rows: How many there are.
    """

    def __init__(self, table: pa.Table, keys: list[tuple[str, str]]) -> None:
        self._table, self._keys = table, keys
        self.num_rows = int(table.num_rows)

    def slice(self, first: int, count: int) -> pa.Table:
        """Gives some rows in their order."""
        end = min(first + count, self.num_rows)
        if 0 < end * _SELECTED <= self.num_rows:
            places = pc.select_k_unstable(self._table, end, sort_keys=self._keys)
        else:
            places = pc.sort_indices(self._table, sort_keys=self._keys)
        return self._table.take(places.slice(first, max(0, end - first)))


class LabelledDay:
    """The labels of one day, without `top_k`, in memory."""

    def __init__(self, files: RowFiles) -> None:
        """Reads the given Parquet files."""
        self._files = files
        with ThreadPoolExecutor(_THREADS) as threads:
            tables = list(threads.map(partial(_read_part, files), range(len(files.paths))))
        counts = [table.num_rows for table in tables]
        table = pa.concat_tables(tables).unify_dictionaries() if tables else _schema().empty_table()
        part = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        row = np.concatenate([np.arange(count, dtype=np.int32) for count in counts] or [np.empty(0, np.int32)])
        self.table = table.append_column("_part", pa.array(part)).append_column("_row", pa.array(row)).combine_chunks()

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def models(self) -> list[ModelStamp]:
        """Gives the models that have labelled it: one, unless somebody has put files together."""
        columns = [self.table[name].unique().to_pylist() for name in _STAMP]
        if all(len(values) == 1 for values in columns):
            return [ModelStamp(*(values[0] for values in columns))]
        stamps = pa.table({name: plain(self.table[name]) for name in _STAMP})
        rows = stamps.group_by(list(_STAMP)).aggregate([]).to_pylist()
        return [ModelStamp(*(row[name] for name in _STAMP)) for row in rows]

    def labels(self) -> dict[str, int]:
        """Counts the images of each label, the most frequent first."""
        counted = pc.value_counts(plain(self.table["label"])).to_pylist()
        ranked = sorted(counted, key=lambda one: (-one["counts"], one["values"]))
        return {one["values"]: one["counts"] for one in ranked}

    def scores(self, bins: int = 20) -> list[int]:
        """Counts the images in equal steps of the score from 0 to 1; what lies outside counts in the first or last."""
        step = np.clip(np.floor(np.nan_to_num(self.table["score"].to_numpy()) * bins), 0, bins - 1)
        return [int(count) for count in np.bincount(step.astype(np.int64), minlength=bins)]

    def mean_score(self) -> float | None:
        """Gives the mean of the best scores; None without a row."""
        mean = pc.mean(self.table["score"]).as_py()
        return None if mean is None else float(mean)

    def select(self, wanted: Wanted) -> SortedRows:
        """Gives the rows that are asked for, sorted."""
        table = self.table
        score, conditions = pc.field("score"), []
        if wanted.lowest is not None:
            conditions.append(score >= wanted.lowest)
        if wanted.highest is not None:
            conditions.append(score <= wanted.highest)
        if wanted.label is not None:
            conditions.append(pc.field("label") == wanted.label)
        if wanted.text:
            conditions.append(pc.match_substring(pc.field("image"), wanted.text, ignore_case=True))
        rows = table.filter(reduce(operator.and_, conditions)) if conditions else table
        direction = "descending" if wanted.order == "most" else "ascending"
        keys = [("image", "ascending")] if wanted.order == "name" else [("score", direction), ("image", "ascending")]
        return SortedRows(rows, keys)

    def rows(self, table: pa.Table) -> list[LabelledRow]:
        """Turns some rows of `select` into records, and reads their `top_k`."""
        places = list(zip(table["_part"].to_pylist(), table["_row"].to_pylist(), strict=True))
        best = self._top_k(places)
        return [
            LabelledRow(**{name: row[name] for name in _COLUMNS}, top_k=best[place])
            for row, place in zip(table.to_pylist(), places, strict=True)
        ]

    def find(self, image: str) -> LabelledRow | None:
        """Gives the row of one image; None when it has none."""
        found = self.rows(self.table.filter(pc.field("image") == image).slice(0, 1))
        return found[0] if found else None

    def holds(self, image: str) -> bool:
        """Whether an image has a row."""
        return bool(pc.any(pc.equal(self.table["image"], image)).as_py())

    def _top_k(self, places: Sequence[tuple[int, int]]) -> dict[tuple[int, int], tuple[ScoredLabel, ...]]:
        """Reads the best labels of some rows, each the number of its file and its place in there."""
        found: dict[tuple[int, int], tuple[ScoredLabel, ...]] = {}
        for part in {part for part, _ in places}:
            wanted = sorted(row for other, row in places if other == part)
            try:
                column = _take(self._files.open(part), "top_k", wanted)
            except (OSError, IndexError):
                raise InvalidImageSetError(
                    f"{self._files.paths[part]}: the day has just been published anew; accepted: asking once more"
                ) from None
            for row, best in zip(wanted, column.to_pylist(), strict=True):
                found[part, row] = tuple(ScoredLabel(one["label"], one["score"]) for one in best)
        return found


_days: Recent[LabelledDay] = Recent(_KEPT_BYTES)
_quarantines: Recent[pa.Table] = Recent(_KEPT_BYTES // 8)


def image_sets(workspace: Workspace) -> dict[str, list[date]]:
    """Gives the labelled days of each image set, the newest first."""
    place, found = workspace.image_sets("labels"), {}
    names = folders(place) if isinstance(place, ObjectPlace) else sorted(path.name for path in place.glob("*"))
    for name in names:
        days = _published_days(place / name)
        if days:
            found[name] = sorted(days, reverse=True)
    return found


def _published_days(image_set: Place) -> list[date]:
    if isinstance(image_set, ObjectPlace):
        return published_days(image_set)
    names = (entry.name for entry in image_set.glob("ds=*"))
    return [date.fromisoformat(match[1]) for name in names if (match := _DAY.fullmatch(name))]


def read_day(workspace: Workspace, image_set: str, day: date) -> LabelledDay:
    """Reads the labels of a day; kept in memory until the day is published anew.

    Raises:
        InvalidImageSetError: The day has not been labelled.
    """

    def read(files: RowFiles) -> tuple[LabelledDay, int]:
        labelled = LabelledDay(files)
        return labelled, int(labelled.table.nbytes)

    find = partial(published_rows, workspace, "labels", image_set, day)
    return published(_days, find, workspace.labels(image_set, day), read)


def day_stamp(workspace: Workspace, image_set: str, day: date) -> str:
    """Gives a text that changes when the labels of a day are published anew.

    Raises:
        InvalidImageSetError: The day has not been labelled.
    """
    try:
        return published_rows(workspace, "labels", image_set, day).stamp
    except FileNotFoundError:
        raise InvalidImageSetError(
            f"{image_set} {day}: not labelled; accepted: a day that label_images has published"
        ) from None


def read_quarantine(workspace: Workspace, image_set: str, day: date) -> pa.Table:
    """Reads the quarantine of a day, sorted by reason and image.

    Raises:
        InvalidImageSetError: The day has not been labelled.
    """

    def read(files: RowFiles) -> tuple[pa.Table, int]:
        tables = files.tables(QUARANTINE.names)
        table = pa.concat_tables(tables) if tables else QUARANTINE.empty_table()
        table = table.sort_by([("reason", "ascending"), ("image", "ascending")])
        return table, int(table.nbytes)

    find = partial(published_rows, workspace, "quarantine", image_set, day)
    return published(_quarantines, find, workspace.quarantine(image_set, day), read)


def plain(column: Any) -> Any:
    """Text or numbers instead of a dictionary and places in it."""
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _take(file: Any, column: str, rows: Sequence[int]) -> Any:
    """Reads some rows of a column, in ascending order, from no more row groups than hold them."""
    ends = np.cumsum([file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)])
    found = []
    for number in sorted({int(np.searchsorted(ends, row, side="right")) for row in rows}):
        first = int(ends[number - 1]) if number else 0
        inside = [row - first for row in rows if first <= row < ends[number]]
        found.append(file.read_row_group(number, columns=[column])[column].combine_chunks().take(pa.array(inside)))
    return pa.concat_arrays(found)


def _schema() -> pa.Schema:
    fields = [LABELS.field(name) for name in _COLUMNS]
    return pa.schema(
        [
            pa.field(field.name, pa.dictionary(pa.int32(), pa.string())) if field.name in _DICTIONARIES else field
            for field in fields
        ]
    )


def _read_part(files: RowFiles, number: int) -> Any:
    table = files.table(number, _COLUMNS, use_threads=False, read_dictionary=list(_DICTIONARIES))
    return table.select(list(_COLUMNS)).cast(_schema())
