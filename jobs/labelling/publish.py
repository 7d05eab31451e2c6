"""Publishing is all or nothing: staged, checked, then swapped in.

A journal, written once the staged folders are complete and checked, is the moment of decision: a driver killed before
it leaves only hidden folders, which the next run removes; one killed after it is completed by the next run.
"""

import shutil
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from jobs.errors import PublishError
from jobs.files import write_atomically
from jobs.labelling.destination import Destination
from jobs.labelling.exchange import swap_in
from jobs.labelling.partition import PartFiles, write_part
from jobs.labelling.schema import FEATURES, LABELS, QUARANTINE
from jobs.results import QuarantineReason

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


@dataclass(frozen=True)
class Counts:
    """What a staged image set holds; `reasons` has one entry for each quarantined image."""

    labelled: int
    reasons: tuple[QuarantineReason, ...]


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


def publish(destination: Destination, staged: Staged, parts: Sequence[PartFiles], listed: Iterable[str]) -> Counts:
    """Checks what was staged and swaps it in; the lock must be held.

    Args:
        destination: Where readers look; replaced if it exists.
        staged: What the executors have written.
        parts: The files of the tasks that finished; all other files are dropped.
        listed: Every image of the set, as its row names it.

    Raises:
        PublishError: An image is missing or doubled; nothing has changed.
    """
    counts = _check_staged(staged, parts, listed, FEATURES if destination.features else LABELS)
    write_atomically(destination.journal, _Journal(run=staged.run).model_dump_json())
    _finish(destination, staged.run)
    return counts


def check_complete(listed: Iterable[str], labelled: Iterable[str], quarantined: Iterable[str]) -> None:
    """Checks that each image is in exactly one of the two.

    Raises:
        PublishError: Names an image that is missing, doubled or not in the set.
    """
    expected, found = Counter(listed), Counter(labelled) + Counter(quarantined)
    for problem, images in (("missing", expected - found), ("doubled or not in the image set", found - expected)):
        if images:
            raise PublishError(
                f"{found.total()} rows for {expected.total()} images: {problem}: {', '.join(sorted(images)[:3])}; "
                "nothing was published"
            )


def _check_staged(staged: Staged, parts: Sequence[PartFiles], listed: Iterable[str], rows: pa.Schema) -> Counts:
    labels = _settle(staged.labels, [part.labels for part in parts], rows)
    quarantine = _settle(staged.quarantine, [part.quarantine for part in parts], QUARANTINE)
    quarantined = [pq.read_table(file, columns=["image", "reason"]) for file in quarantine]
    labelled = [name for file in labels for name in pq.read_table(file, columns=["image"])["image"].to_pylist()]
    check_complete(listed, labelled, [name for table in quarantined for name in table["image"].to_pylist()])
    return Counts(len(labelled), tuple(reason for table in quarantined for reason in table["reason"].to_pylist()))


def _settle(folder: Path, named: Sequence[str | None], schema: pa.Schema) -> list[Path]:
    """Drops the files of tasks that did not finish, and adds one without rows where there is none."""
    keep = {name for name in named if name is not None}
    for file in folder.glob("*.parquet"):
        if file.name not in keep:
            file.unlink()
    if not keep:
        keep = {"part-00000-empty.parquet"}
        write_part(schema.empty_table(), folder / "part-00000-empty.parquet")
    return [folder / name for name in sorted(keep)]


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
