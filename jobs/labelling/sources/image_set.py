"""The images of one run, as the driver lists them and the executors read them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import pyarrow as pa

Read = Callable[[int], bytes]
"""Reads one encoded image of at most so many bytes; raises `ImageRejectedError` when it has more, or cannot be read."""

IMAGE, LOCATION = "image", "_location"
"""How an image's row names it, and where the executors find it, which need not be text."""


@dataclass(frozen=True)
class UnreadImage:
    """An image that has yet to be read.

    Attributes:
        row: Its position in its partition.
        name: As its row names it.
        read: Gives its encoded bytes; safe to call from any thread, and again.
        held: Bytes of it that are in memory already.
    """

    row: int
    name: str
    read: Read
    held: int = 0


class Reading(Protocol):
    """How executors read the images of a set; it travels with the task."""

    @property
    def at_once(self) -> int | None:
        """How many images to read at once; None where reading is so fast that the threads that decode can do it."""

    def open(self, images: pa.Table) -> Iterator[UnreadImage]:
        """Gives the images of one partition, in the order of its rows."""


@dataclass(frozen=True)
class ImageSet:
    """The images of one run.

    Attributes:
        images: One row per image: `image`, `_location`, and the columns to carry through to the output.
        reading: How executors read them.
        smallest_partition: Images in a partition, below which its cost is felt.
    """

    images: pa.Table
    reading: Reading
    smallest_partition: int = 128

    def __len__(self) -> int:
        return int(self.images.num_rows)

    @property
    def carried(self) -> pa.Schema:
        """The columns to carry through to the output."""
        return carried_columns(self.images).schema

    def names(self) -> Iterator[str]:
        """Gives every image as its row names it."""
        for chunk in self.images[IMAGE].chunks:
            yield from chunk.to_pylist()

    def partitions(self, count: int) -> list[bytes]:
        """Cuts the set into so many parts of equal size, in order, each ready to travel."""
        edges = [len(self) * number // count for number in range(count + 1)]
        return [_packed(self.images.slice(start, end - start)) for start, end in pairwise(edges)]


def carried_columns(images: pa.Table) -> pa.Table:
    """Selects the columns to carry through to the output."""
    return images.drop_columns([IMAGE, LOCATION])


def unpacked(partition: bytes) -> pa.Table:
    """Takes up a part that `ImageSet.partitions` made."""
    return pa.ipc.open_stream(partition).read_all()


def printable(name: str) -> str:
    """Writes a name so that Parquet can hold it: bytes that are not UTF-8 become escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def listed(names: list[str], locations: list[str], carried: pa.Table | None = None) -> pa.Table:
    """Puts images into the columns of `ImageSet.images`; names and locations may hold surrogate escapes."""
    columns = {
        IMAGE: pa.array(map(printable, names), pa.string()),
        LOCATION: pa.array([location.encode("utf-8", "surrogateescape") for location in locations], pa.binary()),
    }
    table = pa.table(columns)
    if carried is not None:
        for name in carried.column_names:
            table = table.append_column(carried.schema.field(name), carried[name])
    return table


def _packed(images: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, images.schema) as stream:
        stream.write_table(images.combine_chunks())
    return bytes(sink.getvalue())
