"""A sample of a day: the same images whenever it is drawn."""

import hashlib
from collections.abc import Iterable


def sample_positions(names: Iterable[str], count: int) -> list[int]:
    """Draws up to `count` images, evenly and without a seed: those whose names have the smallest hashes.

    The sample of a day stays the same when the day is labelled again, and a larger one holds the smaller.

    Args:
        names: Of the images.
        count: How many to draw, above 0.

    Returns:
        Their positions, ascending.
    """
    drawn = sorted(
        (hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest(), at) for at, name in enumerate(names)
    )
    return sorted(at for _, at in drawn[:count])
