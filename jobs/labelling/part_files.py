"""Joining the small Parquet files of many tasks into few: a reader opens each, and a file system lists each."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import object_store
from jobs.object_place import ObjectPlace, Place

LARGE_ENOUGH = 64_000_000
"""Bytes of a file that is left as it is: about a million labels. So many are joined that they are together as large."""

_ROWS_IN_GROUP = 65_536


def join_parts(
    folder: Path, names: Sequence[str], schema: pa.Schema, run: str, large_enough: int = LARGE_ENOUGH
) -> list[Path]:
    """Joins the files of a folder in their order, a file at a time in memory, and removes all others.

    Args:
        folder: Staged, seen by no reader.
        names: The files that count.
        schema: Of all of them; where there is none, a file without rows is written, so that readers find the columns.
        run: Goes into the new names. A reader that has listed the files of one run, and opens them when another has taken
            their place, finds none, rather than some of each.
        large_enough: Bytes.

    Returns:
        The files that are there now, at least one.
    """
    for file in folder.glob("*.parquet"):
        if file.name not in names:
            file.unlink()
    joined = []
    for number, group in enumerate(_groups([folder / name for name in names], large_enough)):
        joined.append(folder / f"part-{number:05d}-{run}.parquet")
        _join(group, joined[-1], schema)
    if not joined:
        joined = [folder / f"part-00000-{run}.parquet"]
        _join([], joined[0], schema)
    return joined


def write_part(table: pa.Table, path: Place) -> None:
    """Writes a Parquet file that outlives a crash of the machine, or an object."""
    if isinstance(path, ObjectPlace):
        content = pa.BufferOutputStream()
        pq.write_table(table, content, compression="zstd")
        object_store.write(path, content.getvalue().to_pybytes())
        return
    with path.open("wb") as file:
        pq.write_table(table, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())


def _groups(files: Sequence[Path], large_enough: int) -> Iterator[list[Path]]:
    group: list[Path] = []
    size = 0
    for file in files:
        group.append(file)
        size += file.stat().st_size
        if size >= large_enough:
            yield group
            group, size = [], 0
    if group:
        yield group


def _join(files: Sequence[Path], path: Path, schema: pa.Schema) -> None:
    if len(files) == 1:
        files[0].rename(path)
        return
    with path.open("wb") as opened:
        with pq.ParquetWriter(opened, schema, compression="zstd") as writer:
            waiting: list[pa.Table] = []
            for file in files:
                waiting.append(pq.read_table(file, schema=schema))
                if sum(table.num_rows for table in waiting) >= _ROWS_IN_GROUP:
                    writer.write_table(pa.concat_tables(waiting))
                    waiting = []
            if waiting:
                writer.write_table(pa.concat_tables(waiting))
        opened.flush()
        os.fsync(opened.fileno())
    for file in files:
        file.unlink()
