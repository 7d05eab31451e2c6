"""Whether a day's images have arrived: they are there, and nobody is copying any more."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs import object_store
from jobs.object_place import ObjectPlace, Place

COMPLETE_MARKER = "_SUCCESS"
"""A file of this name in the folder says that nothing more will come, as Spark and Hadoop write it."""


@dataclass(frozen=True)
class Arrival:
    """What is in a folder at one moment.

    Attributes:
        images: Files, without those whose names start with `.` or `_`.
        bytes: Their sizes together.
        newest: When the latest of them was changed, in seconds since 1970.
        complete: Whether the folder holds `COMPLETE_MARKER`.
    """

    images: int
    bytes: int
    newest: float
    complete: bool

    def settled(self, earlier: "Arrival | None", seconds: float, now: float | None = None) -> bool:
        """Tells whether the images can be labelled: marked complete, or not changed for some time.

        Args:
            earlier: What was there `seconds` ago, if anyone looked; two looks alike need no trust in another machine's clock.
            seconds: How long nothing may have changed.
            now: In seconds since 1970; None for the clock's.
        """
        if not self.images:
            return False
        idle = (time.time() if now is None else now) - self.newest
        return self.complete or self == earlier or idle >= seconds


def look(folder: Place) -> Arrival:
    """Looks into a folder and its subfolders; one that does not exist holds nothing."""
    if isinstance(folder, ObjectPlace):
        return _look_into_store(folder)
    images = size = 0
    newest = 0.0
    for file in _files(folder):
        try:
            found = file.stat()
        except FileNotFoundError:  # renamed by whoever copies it
            continue
        except OSError:  # a link to itself
            found = file.stat(follow_symlinks=False)
        images, size, newest = images + 1, size + found.st_size, max(newest, found.st_mtime)
    return Arrival(images, size, newest, (folder / COMPLETE_MARKER).exists())


def is_there(folder: Place) -> bool:
    """Whether a folder exists, or, in an object store, holds anything."""
    if isinstance(folder, ObjectPlace):
        return next(object_store.listing(folder), None) is not None
    return folder.exists()


def _look_into_store(folder: ObjectPlace) -> Arrival:
    complete, images = False, []
    for found in object_store.listing(folder):
        way = found.place.below(folder)
        complete = complete or way == COMPLETE_MARKER
        if not any(part.startswith((".", "_")) for part in way.split("/")):
            images.append(found)
    newest = max((found.changed.timestamp() for found in images), default=0.0)
    return Arrival(len(images), sum(found.bytes for found in images), newest, complete)


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith((".", "_"))]
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in visible:
        if entry.is_dir(follow_symlinks=False):  # as labelling does; links may lead round and round
            yield from _files(Path(entry.path))
        else:
            yield entry
