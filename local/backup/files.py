"""Copying a workspace while others work on it: each published day as one run left it, never half of two."""

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from jobs.errors import AlreadyRunningError
from jobs.labelling.destination import Destination
from jobs.labelling.publish import published_by, settle
from jobs.workspace import Workspace
from local.errors import BackupRefusedError

PUBLISHED = ("labels", "quarantine")
"""Folders of the workspace in which days are published."""

PATIENCE = 120.0
"""Seconds until a day that is being published must stand still; publishing takes a few renames."""


@dataclass(frozen=True)
class Copied:
    """What was copied: files, and their size in bytes."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: "Copied") -> "Copied":
        return Copied(self.files + other.files, self.bytes + other.bytes)


def copy_folder(source: Path, target: Path, *, hidden: bool = False) -> Copied:
    """Copies a folder with its times and its links; what vanishes meanwhile is left out.

    Args:
        source: What to copy; nothing is copied where it is no folder.
        target: Where to; made.
        hidden: Whether names that begin with a dot are copied, which in a workspace are locks and what is still being written.
    """
    try:
        entries = sorted(os.scandir(source), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return Copied()
    target.mkdir(parents=True, exist_ok=True)
    copied = Copied()
    for entry in entries:
        if hidden or not entry.name.startswith("."):
            copied += copy_entry(Path(entry.path), target / entry.name, hidden=hidden)
    _keep_times(source, target)
    return copied


def copy_entry(source: Path, target: Path, *, hidden: bool = False) -> Copied:
    """Copies a folder, a file or a link; anything else, such as a socket, is left out."""
    try:
        kind = source.lstat().st_mode
        if stat.S_ISDIR(kind):
            return copy_folder(source, target, hidden=hidden)
        if not (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
            return Copied()
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    except FileNotFoundError:
        if os.path.lexists(source):
            raise
        return Copied()
    return Copied(1, target.lstat().st_size)


def copy_published(workspace: Workspace, target: Workspace) -> Copied:
    """Copies labels and quarantine, day by day.

    Raises:
        BackupRefusedError: A day is being published, and does not come to an end.
    """
    copied = Copied()
    days: set[tuple[str, date]] = set()
    for entry in _entries(workspace):
        day = _day_of(entry)
        if day is None:
            copied += copy_entry(entry, target.root / entry.relative_to(workspace.root))
        else:
            days.add((entry.parent.name, day))
    folders, copies = Workspace(workspace.root), Workspace(target.root)  # what lies in an object store is kept there
    for name, day in sorted(days):
        copied += copy_day(Destination.of_day(folders, name, day), Destination.of_day(copies, name, day))
    return copied


def copy_day(day: Destination, target: Destination, patience: float = PATIENCE) -> Copied:
    """Copies the labels and the quarantine of one day, both as the same run has published them.

    A copy counts when the day was whole in between, and both folders were afterwards still those of the runs that made
    them before. Readers and writers are never kept waiting.

    Raises:
        BackupRefusedError: The day does not stand still within `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        before = published_by(day)
        if not day.journal.exists():
            copied = Copied()
            for source, copy in zip(day.folders, target.folders, strict=True):
                copied += copy_folder(source, copy)
            if published_by(day) == before:
                return copied
            for copy in target.folders:
                shutil.rmtree(copy, ignore_errors=True)
        else:
            _settle(day)
        if time.monotonic() > deadline:
            raise BackupRefusedError(
                f"{day.labels}: is being published and has not come to an end within {patience:.0f} s; nothing was written; "
                "try again when its driver has ended"
            )
        time.sleep(0.05)


def _settle(day: Destination) -> None:
    """Completes the publication of a driver that has died; one that lives completes it by itself."""
    try:
        with day.locked():
            settle(day)
    except AlreadyRunningError:
        return


def _entries(workspace: Workspace) -> Iterator[Path]:
    """Gives what lies where the days lie, and what else somebody has put there."""
    for kind in PUBLISHED:
        for name in _children(workspace.root / kind):
            yield from _children(name) if name.is_dir() else (name,)


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _day_of(folder: Path) -> date | None:
    try:
        return date.fromisoformat(folder.name.removeprefix("ds=")) if folder.name.startswith("ds=") else None
    except ValueError:
        return None


def _keep_times(source: Path, target: Path) -> None:
    """Gives a copied folder the mode and the times of its source, by which housekeeping tells its age."""
    with contextlib.suppress(FileNotFoundError):
        shutil.copystat(source, target)
