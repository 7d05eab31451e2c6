"""A reader of a published day that looks again and again while others write it, and notes what it must never see."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

EVERY = 0.02
"""Seconds between two looks."""


@dataclass(frozen=True)
class WholeDay:
    """What a run of some images publishes.

    Attributes:
        labels: The images that have labels, sorted.
        quarantine: Those that have none, sorted.
    """

    labels: tuple[str, ...]
    quarantine: tuple[str, ...]


@dataclass
class DayReader:
    """What was seen of a day.

    Attributes:
        folder: That holds `labels` and `quarantine`.
        whole: What may be seen.
        runs: Runs to which both folders belonged at one moment, in the order in which they were seen.
        broken: What must not be seen: a folder that is gone, or that holds other rows than those of one run.
        looks: How often each folder was read from its first file to its last.
    """

    folder: Path
    whole: Sequence[WholeDay]
    runs: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    looks: int = 0

    def look(self) -> None:
        """Reads both folders once."""
        try:
            labels = self._read("labels", [day.labels for day in self.whole])
            quarantine = self._read("quarantine", [day.quarantine for day in self.whole])
        except (OSError, pa.ArrowException) as error:  # a folder that is gone, or a file that is half there
            self.broken.append(f"{type(error).__name__}: {error}")
            return
        if labels and labels == quarantine and self.runs[-1:] != [labels]:
            self.runs.append(labels)

    def _read(self, kind: str, accepted: Sequence[tuple[str, ...]]) -> str | None:
        """Gives the run that wrote a folder; None where another took its place in the meantime."""
        folder = self.folder / kind
        run = (folder / "_run").read_text()
        files = sorted(folder.glob("*.parquet"))
        try:
            images = [name for file in files for name in pq.ParquetFile(file).read(["image"])["image"].to_pylist()]
        except FileNotFoundError:
            images = []  # of the run before, as the next line sees
        if (folder / "_run").read_text() != run:
            return None
        self.looks += 1
        if tuple(sorted(images)) not in accepted:
            self.broken.append(f"{kind} of run {run} has {len(images)} rows, in {[file.name for file in files]}")
        return run


@contextmanager
def reader_of(folder: Path, *whole: WholeDay) -> Iterator[DayReader]:
    """Reads a day, which is there already, while the block runs; each look must see one of `whole`."""
    reader, stop = DayReader(folder, whole), threading.Event()
    reader.look()

    def watch() -> None:
        while not stop.wait(EVERY):
            reader.look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield reader
    finally:
        stop.set()
        watcher.join()
        reader.look()
    assert reader.broken == []
    assert reader.looks > 100
