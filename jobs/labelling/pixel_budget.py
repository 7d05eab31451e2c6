"""Bounding the memory that images take while several threads decode them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class PixelBudget:
    """Lets threads decode side by side as long as their images together stay within the limit of a single one.

    So memory is bounded by the largest image accepted, not by that times the number of threads.
    """

    def __init__(self, pixels: int) -> None:
        self._free = self._limit = pixels
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, pixels: int) -> Iterator[None]:
        """Waits until `pixels` fit in, and holds them while the block runs; more than the limit counts as the limit."""
        wanted = min(pixels, self._limit)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()
