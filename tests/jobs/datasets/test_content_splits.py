"""Splits by content: stratified, seeded, and no picture on both sides."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.datasets.content_splits import split_by_content
from jobs.datasets.splits import SplitIndices
from jobs.errors import InvalidDatasetError

SHARES = (0.7, 0.15, 0.15)


def contents(count: int, start: int = 0) -> list[bytes]:
    return [hashlib.sha256(str(number).encode()).digest() for number in range(start, start + count)]


def parts(splits: SplitIndices) -> list[list[int]]:
    return [part.tolist() for part in (splits.train, splits.validation, splits.test, splits.held_out)]


def split(
    given: list[bytes], labels: list[int], shares: tuple[float, float, float] = SHARES, seed: int = 0
) -> SplitIndices:
    return split_by_content(given, labels, [f"c{n}" for n in range(max(labels) + 1)], shares=shares, seed=seed)


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(10, 40), min_size=2, max_size=5),
    weights=st.tuples(*[st.integers(10, 100)] * 3, st.integers(0, 50)),
    copies=st.lists(st.integers(0, 19), max_size=30),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_class_has_its_share_in_every_split_and_copies_stay_together(
    sizes: list[int], weights: tuple[int, int, int, int], copies: list[int], seed: int
) -> None:
    shares = tuple(0.1 + 0.7 * weight / sum(weights) for weight in weights[:3])
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    originals = contents(len(labels))
    given, classes = originals + [originals[n] for n in copies], labels + [labels[n] for n in copies]
    splits = split(given, classes, shares, seed)
    assert sorted(place for part in parts(splits) for place in part) == list(range(len(given)))
    assert all(part == sorted(part) for part in parts(splits))
    where = [{given[place] for place in part} for part in parts(splits)]
    assert sum(len(part) for part in where) == len(originals), "no content is in two splits"
    for label, size in enumerate(sizes):
        own = {content for content, of in zip(originals, labels, strict=True) if of == label}
        for part, share in zip(where, shares, strict=False):
            assert abs(len(part & own) - share * size) <= 1


def test_the_order_of_the_files_does_not_matter_and_the_seed_does() -> None:
    given, labels = contents(60), [0, 1, 2] * 20
    order = np.random.default_rng(0).permutation(60)
    where = [{given[place] for place in part} for part in parts(split(given, labels))]
    shuffled = [given[n] for n in order]
    again = split(shuffled, [labels[n] for n in order])
    assert [{shuffled[place] for place in part} for part in parts(again)] == where
    assert parts(split(given, labels, seed=1)) != parts(split(given, labels))


def test_an_image_that_is_added_moves_few_others() -> None:
    labels = [0] * 200 + [1] * 200
    before, after = split(contents(400), labels), split(contents(401), [*labels, 1])
    moved = sum(len(set(one) - set(two)) for one, two in zip(parts(before), parts(after), strict=True))
    assert moved <= 2


@pytest.mark.parametrize(("shares", "enough"), [((0.6, 0.2, 0.2), 5), ((0.7, 0.15, 0.15), 7), ((0.8, 0.1, 0.1), 10)])
def test_a_class_with_too_few_images_is_named_with_how_many_are_enough(
    shares: tuple[float, float, float], enough: int
) -> None:
    with pytest.raises(InvalidDatasetError) as told:
        split(contents(22), [0] * 20 + [1] * 2, shares)
    assert f"class 'c1' has 2; accepted: {enough} or more in each class, or larger shares" in str(told.value)
    assert all(parts(split(contents(20 + enough), [0] * 20 + [1] * enough, shares))[:3])
