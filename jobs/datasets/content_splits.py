"""Splits by content: where an image goes depends on its bytes and the seed, not on its name. Pure."""

import hashlib
from collections.abc import Sequence
from math import ceil, floor

import numpy as np

from jobs.datasets.splits import SplitIndices
from jobs.errors import InvalidDatasetError


def split_by_content(
    contents: Sequence[bytes],
    labels: Sequence[int],
    classes: Sequence[str],
    *,
    shares: tuple[float, float, float],
    seed: int,
) -> SplitIndices:
    """Draws splits in which each class has its share; files with the same bytes go to the same split.

    The different contents of a class are put in the order of a hash of seed and content, and the splits are cut from it one
    after another. So a file that is renamed or copied moves nothing, and one that is added moves few others.

    Args:
        contents: Digest of the bytes of each image.
        labels: Index of the class of each; the same content always has the same label.
        classes: Names of the classes.
        shares: Of train, validation and test, of the different contents of each class; the rest is in no split.
        seed: Seed of the order.

    Raises:
        InvalidDatasetError: A class has too few different images to be in every split.
    """
    of_class: list[set[bytes]] = [set() for _ in classes]
    for content, label in zip(contents, labels, strict=True):
        of_class[label].add(content)
    bounds = [_bounds(len(members), shares) for members in of_class]
    _check(classes, [len(members) for members in of_class], bounds, shares)
    place: dict[bytes, int] = {}
    for members, limits in zip(of_class, bounds, strict=True):
        for rank, content in enumerate(sorted(members, key=lambda content: _order(seed, content))):
            place[content] = int(np.searchsorted(limits, rank, side="right"))
    where = np.array([place[content] for content in contents], np.int64)
    train, validation, test, held_out = (np.flatnonzero(where == split) for split in range(4))
    return SplitIndices(train, validation, test, held_out)


def _bounds(count: int, shares: tuple[float, float, float]) -> tuple[int, ...]:
    """Gives the ranks at which the splits of `count` contents end."""
    # Halves are rounded up: to the even number, as round() does, a split of one or two could come out empty.
    return tuple(min(count, floor(count * sum(shares[: end + 1]) + 0.5 + 1e-9)) for end in range(3))


def _order(seed: int, content: bytes) -> bytes:
    return hashlib.sha256(seed.to_bytes(8, "big") + content).digest()


def _check(
    classes: Sequence[str], counts: list[int], bounds: list[tuple[int, ...]], shares: tuple[float, float, float]
) -> None:
    small = [
        f"{name!r} has {count}"
        for name, count, ends in zip(classes, counts, bounds, strict=True)
        if len({0, *ends}) < 4  # one of the three is empty
    ]
    if small:
        train, validation, test = shares
        more = f" (and {len(small) - 5} more classes)" if len(small) > 5 else ""
        raise InvalidDatasetError(
            f"dataset.split: too few different usable images for shares of {train:g}, {validation:g} and {test:g}: class "
            f"{', '.join(small[:5])}{more}; accepted: {ceil(1 / min(shares) - 1e-9)} or more in each class, or larger shares"
        )
