"""Keeping in memory what was read of published days, until they are published anew."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from jobs.errors import InvalidImageSetError
from jobs.labelling.row_files import RowFiles
from jobs.object_place import Place

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


def published(
    recent: Recent[_Kept],
    find: Callable[[], RowFiles],
    place: Place,
    read: Callable[[RowFiles], tuple[_Kept, int]],
) -> _Kept:
    """Reads what is published in a place, once more if it was published anew meanwhile.

    Args:
        recent: What was read before.
        find: Finds the files that are published now.
        place: Of the day.
        read: Gives what is to be kept of the files, with its size in bytes.

    Raises:
        InvalidImageSetError: Nothing is published there.
    """
    rows = None
    for last in (False, True):
        try:
            rows = find()
            return recent.get(str(place), rows.stamp, partial(read, rows))
        except (
            OSError
        ) as error:  # of an object store not always FileNotFoundError, when an object goes while it is read
            missing = isinstance(error, FileNotFoundError)
            if not missing and (last or rows is None):
                raise
            if last:
                raise InvalidImageSetError(
                    f"{place.parent.name} {place.name}: not labelled; accepted: a day that label_images has published"
                ) from None
    raise AssertionError
