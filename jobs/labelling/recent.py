"""Keeping in memory what was read of published folders, until they are published anew."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from jobs.errors import InvalidImageSetError

_Kept = TypeVar("_Kept")


class Recent(Generic[_Kept]):
    """Keeps what was read last; a day that is published anew is read anew."""

    def __init__(self, limit: int) -> None:
        """Begins with nothing; keeps up to `limit` bytes."""
        self._limit, self._held = limit, 0
        self._entries: OrderedDict[str, tuple[str, int, _Kept]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str, stamp: str, read: Callable[[], tuple[_Kept, int]]) -> _Kept:
        """Gives what is kept under a key, if its stamp is the same, else what `read` gives with its size in bytes."""
        with self._lock:
            known = self._entries.get(key)
            if known is not None and known[0] == stamp:
                self._entries.move_to_end(key)
                return known[2]
        value, size = read()
        with self._lock:
            self._drop(key)
            self._entries[key] = (stamp, size, value)
            self._held += size
            while self._held > self._limit and len(self._entries) > 1:
                self._drop(next(iter(self._entries)))
        return value

    def _drop(self, key: str) -> None:
        if key in self._entries:
            self._held -= self._entries.pop(key)[1]


def stamp(folder: Path) -> str:
    """Changes when a folder is published anew, since that swaps in another one.

    Raises:
        FileNotFoundError: Nothing is published there.
    """
    found = folder.stat()
    return f"{found.st_ino}-{found.st_mtime_ns}"


def published(recent: Recent[_Kept], folder: Path, read: Callable[[], tuple[_Kept, int]]) -> _Kept:
    """Reads a folder, once more if it was swapped meanwhile."""
    for last in (False, True):
        try:
            return recent.get(str(folder), stamp(folder), read)
        except FileNotFoundError:
            if last:
                raise InvalidImageSetError(
                    f"{folder.parent.name} {folder.name}: not labelled; accepted: a day that label_images has published"
                ) from None
    raise AssertionError
