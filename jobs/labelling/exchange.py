"""Putting one folder in another's place in a single step, where the system can."""

import ctypes
import os
import sys
from pathlib import Path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


def swap_in(staged: Path, target: Path, retired: Path) -> None:
    """Makes `staged` the new `target`, and leaves the old one, if there was one, as `staged` or as `retired`.

    Linux exchanges the two names at once (`renameat2`, since 3.15; not on every network file system). Elsewhere it takes two
    renames, between which there is no `target` for an instant.

    Args:
        staged: A folder, beside `target`.
        target: A folder, or nothing yet.
        retired: A free name beside them.
    """
    if not target.exists():
        staged.rename(target)
    elif not _exchange(staged, target):
        target.rename(retired)
        staged.rename(target)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names; False where the system or the file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    done = renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return bool(done == 0)
