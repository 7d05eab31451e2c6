"""Publishing is all or nothing: staged, checked, then swapped in.

A journal, written once the staged folders are complete and checked, is the moment of decision: a driver killed before
it leaves only hidden folders, which the next run removes; one killed after it is completed by the next run.
"""

import shutil
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel

from jobs.files import write_atomically
from jobs.labelling.counts import Counts, count_rows
from jobs.labelling.destination import Destination
from jobs.labelling.exchange import swap_in
from jobs.labelling.part_files import join_parts
from jobs.labelling.partition import PartFiles
from jobs.labelling.schema import LABELS, NOTHING_CARRIED, QUARANTINE, with_carried

_RUN_FILE = "_run"
"""Names the run that made a folder; readers of Parquet skip names that start with an underscore."""


class _Journal(BaseModel):
    run: str


@dataclass(frozen=True)
class Staged:
    """Two hidden folders beside those that readers see, filled by the executors.

    Attributes:
        run: Identifies this run, so that a task left over from another cannot write here.
        labels: Hidden folder.
        quarantine: Hidden folder.
    """

    run: str
    labels: Path
    quarantine: Path


def stage(destination: Destination) -> Staged:
    """Completes or removes what an interrupted run left, and makes new staged folders; the lock must be held."""
    _recover(destination)
    run = uuid.uuid4().hex[:12]
    labels, quarantine = (_staged(folder, run) for folder in destination.folders)
    for folder in (labels, quarantine):
        folder.mkdir()
        (folder / _RUN_FILE).write_text(run)
    return Staged(run, labels, quarantine)


def discard(destination: Destination) -> None:
    """Removes every staged folder; what is published stays as it is. The lock must be held."""
    for folder in destination.folders:
        for leftover in folder.parent.glob(f".{folder.name}.*-????????????"):
            shutil.rmtree(leftover, ignore_errors=True)


def publish(
    destination: Destination,
    staged: Staged,
    parts: Sequence[PartFiles],
    listed: Iterable[str],
    carried: pa.Schema = NOTHING_CARRIED,
) -> Counts:
    """Joins what was staged into few files, checks it, and swaps it in; the lock must be held.

    Args:
        destination: Where readers look; replaced if it exists.
        staged: What the executors have written.
        parts: The files of the tasks that finished; all other files are dropped.
        listed: Every image of the set, as its row names it.
        carried: The columns that are carried through from a list.

    Raises:
        PublishError: An image is missing or doubled; nothing has changed.
    """
    labels, quarantine = (
        join_parts(folder, [name for name in names if name], with_carried(schema, carried), staged.run)
        for folder, names, schema in (
            (staged.labels, [part.labels for part in parts], LABELS),
            (staged.quarantine, [part.quarantine for part in parts], QUARANTINE),
        )
    )
    counts = count_rows(labels, quarantine, listed)
    write_atomically(destination.journal, _Journal(run=staged.run).model_dump_json())
    _finish(destination, staged.run)
    return counts


def _recover(destination: Destination) -> None:
    if destination.journal.exists():
        _finish(destination, _Journal.model_validate_json(destination.journal.read_text()).run)
    else:
        discard(destination)


def _finish(destination: Destination, run: str) -> None:
    """Swaps in the folders of `run` that are not in place yet, and removes what is left over; may be repeated."""
    for folder in destination.folders:
        if not _made_by(folder, run):
            swap_in(_staged(folder, run), folder, folder.with_name(f".{folder.name}.retired-{run}"))
    discard(destination)
    destination.journal.unlink()


def _made_by(folder: Path, run: str) -> bool:
    marker = folder / _RUN_FILE
    return marker.is_file() and marker.read_text() == run


def _staged(folder: Path, run: str) -> Path:
    return folder.with_name(f".{folder.name}.staged-{run}")
