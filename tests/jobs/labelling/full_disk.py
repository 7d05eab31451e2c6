"""Filling a small disk to a page, and making room on it again."""

import os
from pathlib import Path

_FILLER = "filler"


def fill_disk(folder: Path, pages: int) -> None:
    """Fills a disk, and leaves so many of its pages free.

    Args:
        folder: Where it is mounted.
        pages: At least 0.
    """
    make_room(folder)
    disk = os.statvfs(folder)
    (folder / _FILLER).write_bytes(bytes((disk.f_bavail - pages) * disk.f_frsize))


def make_room(folder: Path) -> None:
    """Frees what `fill_disk` has filled."""
    (folder / _FILLER).unlink(missing_ok=True)
