"""Publishing is all or nothing: staged, checked, then swapped in.

A journal, written once the staged folders are complete and checked, is the moment of decision: a driver killed before
it leaves only hidden folders, which the next run removes; one killed after it is completed by the next run.
"""

import shutil
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel

from jobs.errors import PublishError
from jobs.files import write_atomically
from jobs.labelling.counts import Counts, count_features, count_rows
from jobs.labelling.destination import Destination
from jobs.labelling.exchange import swap_in
from jobs.labelling.part_files import join_parts
from jobs.labelling.partition import PartFiles
from jobs.labelling.schema import FEATURES, LABELS, NOTHING_CARRIED, QUARANTINE, with_carried

_RUN_FILE = "_run"
"""Names the run that made a folder; readers of Parquet skip names that start with an underscore."""


class _Journal(BaseModel):
    run: str
    labels: str = ""
    """Name of the folder of labels, or of features: one folder of the user's choice may get both, one after the other."""


@dataclass(frozen=True)
class Staged:
    """Two hidden folders beside those that readers see, filled by the executors.

    Attributes:
        run: Identifies this run, so that a task left over from another cannot write here.
        labels: Hidden folder; of features where these were asked for.
        quarantine: Hidden folder.
        features: Whether features are staged instead of labels.
    """

    run: str
    labels: Path
    quarantine: Path
    features: bool = False


def stage(destination: Destination) -> Staged:
    """Completes or removes what an interrupted run left, and makes new staged folders; the lock must be held."""
    _recover(destination)
    run = uuid.uuid4().hex[:12]
    labels, quarantine = staged_folders(destination, run)
    for folder in (labels, quarantine):
        folder.mkdir()
        (folder / _RUN_FILE).write_text(run)
    return Staged(run, labels, quarantine, destination.features)


def discard(destination: Destination) -> None:
    """Removes every staged folder and half-written journal; what is published stays as it is. The lock must be held."""
    for folder in destination.folders:
        for leftover in folder.parent.glob(f".{folder.name}.*-????????????"):
            shutil.rmtree(leftover, ignore_errors=True)
    for half in destination.journal.parent.glob(f".{destination.journal.name}.*"):
        half.unlink(missing_ok=True)


def settle(destination: Destination) -> None:
    """Completes what a driver had decided to publish before it died; the lock must be held."""
    if destination.journal.exists():
        _recover(destination)


def published_by(destination: Destination) -> tuple[str | None, str | None]:
    """Names the runs that have made the two folders which readers see; None where there is none, or no run is named."""
    labels, quarantine = (_maker(folder) for folder in destination.folders)
    return labels, quarantine


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
    counts = seal(staged, parts, listed, carried)
    _swap_in(destination, staged.run)
    return counts


def publish_staged(destination: Destination, run: str) -> None:
    """Swaps in what an earlier step has staged and sealed; the lock must be held. May be repeated.

    Raises:
        PublishError: It is gone, because the image set was labelled again since.
    """
    if destination.journal.exists():
        _recover(destination)
    staged = staged_folders(destination, run)
    there = [_made_by(old, run) or _made_by(new, run) for old, new in zip(destination.folders, staged, strict=True)]
    if not all(there):
        raise PublishError(
            f"{destination.labels}: what run {run} has staged is gone, as when the day was labelled again since; "
            "nothing was published; clear label_images"
        )
    if not all(_made_by(folder, run) for folder in destination.folders):
        _swap_in(destination, run)


def staged_folders(destination: Destination, run: str) -> tuple[Path, Path]:
    """Gives the hidden folders of labels and of quarantine that a run has staged."""
    return _staged(destination.labels, run), _staged(destination.quarantine, run)


def seal(
    staged: Staged, parts: Sequence[PartFiles], listed: Iterable[str], carried: pa.Schema = NOTHING_CARRIED
) -> Counts:
    """Joins what was staged into few files and checks that it is complete; nothing is published yet.

    Args:
        staged: What the executors have written.
        parts: The files of the tasks that finished; all other files are dropped.
        listed: Every image of the set, as its row names it.
        carried: The columns that are carried through from a list.

    Raises:
        PublishError: An image is missing or doubled.
    """
    labels, quarantine = (
        join_parts(folder, [name for name in names if name], with_carried(schema, carried), staged.run)
        for folder, names, schema in (
            (staged.labels, [part.labels for part in parts], FEATURES if staged.features else LABELS),
            (staged.quarantine, [part.quarantine for part in parts], QUARANTINE),
        )
    )
    if staged.features:
        return count_features(labels, quarantine, listed)
    return count_rows(labels, quarantine, listed)


def _swap_in(destination: Destination, run: str) -> None:
    write_atomically(destination.journal, _Journal(run=run, labels=destination.labels.name).model_dump_json())
    _finish(destination, run)


def _recover(destination: Destination) -> None:
    if destination.journal.exists():
        decided = _Journal.model_validate_json(destination.journal.read_text())
        labels = destination.labels.with_name(decided.labels or destination.labels.name)
        _finish(replace(destination, labels=labels), decided.run)
    discard(destination)


def _finish(destination: Destination, run: str) -> None:
    """Swaps in the folders of `run` that are not in place yet, and removes what is left over; may be repeated."""
    for folder in destination.folders:
        if not _made_by(folder, run):
            swap_in(_staged(folder, run), folder, folder.with_name(f".{folder.name}.retired-{run}"))
    discard(destination)
    destination.journal.unlink()


def _made_by(folder: Path, run: str) -> bool:
    return _maker(folder) == run


def _maker(folder: Path) -> str | None:
    try:
        return (folder / _RUN_FILE).read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _staged(folder: Path, run: str) -> Path:
    return folder.with_name(f".{folder.name}.staged-{run}")
