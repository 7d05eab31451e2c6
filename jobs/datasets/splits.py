"""Stratified splits: which samples are for training, for choosing and for the one final test. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.errors import InvalidDatasetError

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class SplitIndices:
    """Indices of the samples in each split, sorted; no sample is in two of them.

    Attributes:
        train: Samples that trials train on.
        validation: Samples that trials are compared on.
        test: Samples read once, after the choice.
        held_out: Samples that are in no split.
    """

    train: Indices
    validation: Indices
    test: Indices
    held_out: Indices


def split_samples(
    labels: NDArray[np.int64], *, train: float, validation: float, test: float | None, test_from: int | None, seed: int
) -> SplitIndices:
    """Draws the splits so that each has the classes in the same proportions; the same arguments give the same splits.

    Args:
        labels: int64, shape (samples,).
        train: Share for training, of the samples before `test_from`.
        validation: Share for validation, of the same.
        test: Share for the test, of the same; None where the source publishes a test split.
        test_from: Index of the first sample of the published test split, or None.
        seed: Seed of the draw.

    Raises:
        InvalidDatasetError: A class has too few samples to be in every split.
    """
    own = len(labels) if test_from is None else test_from
    remaining = np.arange(own, dtype=np.int64)
    counts = [round(share * own) for share in (train, validation, test or 0.0)]
    few = _few(remaining, labels, own - sum(counts), seed)
    remaining = np.setdiff1d(remaining, few)
    parts: list[Indices] = []
    for count in counts:
        part, remaining = _draw(remaining, labels, count, seed)
        parts.append(part)
    published = np.arange(own, len(labels), dtype=np.int64)
    held_out = np.union1d(few, remaining)
    return SplitIndices(parts[0], parts[1], parts[2] if test_from is None else published, held_out)


def _few(available: Indices, labels: NDArray[np.int64], count: int, seed: int) -> Indices:
    """Draws the samples that are in no split where they are fewer than the classes, which no stratified draw can leave over.

    They are of different classes, the largest, so that the splits stay stratified; none where there are enough for every class.
    """
    classes, sizes = np.unique(labels[available], return_counts=True)
    if not 0 < count < len(classes):
        return available[:0]
    generator = np.random.default_rng(seed)
    largest = classes[np.argsort(-sizes, kind="stable")[:count]]
    return np.sort([generator.choice(available[labels[available] == label]) for label in largest])


def _draw(available: Indices, labels: NDArray[np.int64], count: int, seed: int) -> tuple[Indices, Indices]:
    """Draws `count` of the available samples, stratified; gives them and the rest, both sorted."""
    from sklearn.model_selection import train_test_split

    count = min(count, len(available))
    if count in (0, len(available)):
        return (available, available[:0]) if count else (available[:0], available)
    try:
        drawn, rest = train_test_split(available, train_size=count, stratify=labels[available], random_state=seed)
    except ValueError as error:
        raise InvalidDatasetError(
            f"dataset.split: {error}; accepted: larger shares or more samples of each class"
        ) from None
    return np.sort(drawn), np.sort(rest)
