"""Shares that leave a few samples over, fewer than there are classes, are as good as any others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.datasets.digits import read_digits
from jobs.datasets.splits import SplitIndices, split_samples
from jobs.errors import InvalidDatasetError


def parts(splits: SplitIndices) -> list[np.ndarray]:
    return [splits.train, splits.validation, splits.test, splits.held_out]


@pytest.mark.parametrize(
    ("shares", "held_out"), [((0.6, 0.2, 0.2), 1), ((0.5, 0.25, 0.25), 1), ((0.6, 0.2, 0.199), 2), ((0.7, 0.2, 0.1), 0)]
)
def test_the_digits_can_be_split_into_shares_that_sum_to_one(shares: tuple[float, float, float], held_out: int) -> None:
    labels = read_digits().labels
    train, validation, test = shares
    splits = split_samples(labels, train=train, validation=validation, test=test, test_from=None, seed=1)
    assert [len(part) for part in parts(splits)] == [*(round(share * len(labels)) for share in shares), held_out]


@settings(max_examples=60)
@given(
    classes=st.integers(2, 6),
    per_class=st.integers(30, 60),
    more=st.integers(0, 5),
    left=st.integers(0, 8),
    seed=st.integers(0, 2**32 - 1),
)
def test_however_few_are_left_over_the_splits_are_whole_stratified_and_the_seeds_own(
    classes: int, per_class: int, more: int, left: int, seed: int
) -> None:
    labels = np.concatenate([np.repeat(np.arange(classes), per_class), np.zeros(more, np.int64)])
    count = len(labels)
    train, validation = count // 2, count // 4
    test = count - train - validation - left
    shares = {"train": train / count, "validation": validation / count, "test": test / count}
    splits = split_samples(labels, **shares, test_from=None, seed=seed)
    assert [len(part) for part in parts(splits)] == [train, validation, test, left]
    assert sorted(np.concatenate(parts(splits))) == list(range(count))
    ideal = np.bincount(labels) / count
    for part in parts(splits)[:3]:
        assert list(part) == sorted(part)
        assert np.abs(np.bincount(labels[part], minlength=classes) - ideal * len(part)).max() < 3
    again = split_samples(labels, **shares, test_from=None, seed=seed)
    assert all(np.array_equal(one, same) for one, same in zip(parts(splits), parts(again), strict=True))


def test_what_is_left_over_comes_from_the_largest_classes() -> None:
    labels = np.array([0] * 40 + [1] * 4 + [2] * 40)
    shares = {"train": 42 / 84, "validation": 20 / 84, "test": 20 / 84}
    for seed in range(20):
        splits = split_samples(labels, **shares, test_from=None, seed=seed)
        assert sorted(labels[splits.held_out]) == [0, 2]


def test_a_few_may_be_left_over_beside_a_published_test_split_too() -> None:
    labels = np.tile(np.arange(10), 110)
    splits = split_samples(labels, train=0.8, validation=0.197, test=None, test_from=1000, seed=0)
    assert [len(part) for part in parts(splits)] == [800, 197, 100, 3]
    assert max(splits.held_out) < 1000


@pytest.mark.parametrize("shares", [(0.98, 0.01, 0.01), (0.01, 0.5, 0.4), (0.5, 0.495, 0.005), (0.5, 0.004, 0.4)])
def test_a_split_too_small_for_every_class_is_still_refused(shares: tuple[float, float, float]) -> None:
    labels = np.tile(np.arange(10), 50)
    train, validation, test = shares
    with pytest.raises(InvalidDatasetError, match=r"dataset\.split: .*; accepted: larger shares or more samples"):
        split_samples(labels, train=train, validation=validation, test=test, test_from=None, seed=0)
