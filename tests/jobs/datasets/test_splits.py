"""Splits are disjoint, stratified, and the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.datasets.splits import SplitIndices, split_samples
from jobs.errors import InvalidDatasetError


def parts(splits: SplitIndices) -> list[np.ndarray]:
    return [splits.train, splits.validation, splits.test, splits.held_out]


@settings(max_examples=40)
@given(
    st.integers(2, 5),
    st.integers(40, 120),
    st.tuples(st.floats(0.2, 0.5), st.floats(0.1, 0.25), st.floats(0.1, 0.25)),
    st.integers(0, 2**32 - 1),
)
def test_every_sample_is_in_exactly_one_part_and_classes_keep_their_shares(
    classes: int, per_class: int, shares: tuple[float, float, float], seed: int
) -> None:
    labels = np.repeat(np.arange(classes), per_class)
    train, validation, test = shares
    splits = split_samples(labels, train=train, validation=validation, test=test, test_from=None, seed=seed)
    everyone = np.concatenate(parts(splits))
    assert sorted(everyone) == list(range(len(labels)))
    for part, share in zip(parts(splits), shares, strict=False):
        assert len(part) == round(share * len(labels))
        assert list(part) == sorted(part)
        counts = np.bincount(labels[part], minlength=classes)
        assert counts.max() - counts.min() <= 2


def test_the_same_seed_gives_the_same_splits_and_another_seed_others() -> None:
    labels = np.repeat(np.arange(10), 50)
    drawn = [
        split_samples(labels, train=0.6, validation=0.2, test=0.2, test_from=None, seed=seed) for seed in (1, 1, 2)
    ]
    assert all(np.array_equal(one, same) for one, same in zip(parts(drawn[0]), parts(drawn[1]), strict=True))
    assert not np.array_equal(drawn[0].train, drawn[2].train)


def test_a_published_test_split_is_kept_as_it_is() -> None:
    labels = np.tile(np.arange(10), 100)
    splits = split_samples(labels, train=0.9, validation=0.1, test=None, test_from=800, seed=0)
    assert list(splits.test) == list(range(800, 1000))
    assert (len(splits.train), len(splits.validation), len(splits.held_out)) == (720, 80, 0)
    assert max(splits.train.max(), splits.validation.max()) < 800


def test_a_class_too_rare_for_every_split_is_told() -> None:
    labels = np.array([0] * 50 + [1])
    with pytest.raises(InvalidDatasetError, match=r"dataset\.split: .*; accepted: larger shares or more samples"):
        split_samples(labels, train=0.5, validation=0.25, test=0.25, test_from=None, seed=0)
