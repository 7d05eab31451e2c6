"""The grid: every combination once, the default hyperparameters first."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.models.hyperparameters import Hyperparameters
from jobs.tuning.search_space import Range, SearchSpace

DEFAULT = Hyperparameters(layers=1, neurons=32, learning_rate=0.001, batch_size=32, dropout=0.0)


def test_the_default_comes_first_even_where_the_grid_does_not_hold_it() -> None:
    points = SearchSpace(learning_rate=[0.1, 0.2], neurons=[8, 16]).grid(DEFAULT)
    assert points[0] == DEFAULT
    assert len(points) == 5
    assert {(point.learning_rate, point.neurons) for point in points[1:]} == {(0.1, 8), (0.1, 16), (0.2, 8), (0.2, 16)}


def test_a_default_that_the_grid_holds_is_not_tried_twice() -> None:
    points = SearchSpace(neurons=[16, 32, 64]).grid(DEFAULT)
    assert [point.neurons for point in points] == [32, 16, 64]


def test_what_the_space_leaves_out_keeps_its_default() -> None:
    assert SearchSpace().grid(DEFAULT) == [DEFAULT]
    assert {point.dropout for point in SearchSpace(layers=[1, 2]).grid(DEFAULT)} == {0.0}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (Range[float](low=0.0, high=0.5, steps=3), [0.0, 0.25, 0.5]),
        (Range[float](low=1e-4, high=1e-2, log=True, steps=3), [1e-4, 1e-3, 1e-2]),
        (Range[int](low=16, high=256, log=True, steps=5), [16, 32, 64, 128, 256]),
        (Range[int](low=1, high=3, steps=9), [1, 2, 3]),
        (Range[int](low=5, high=5, steps=2), [5]),
    ],
)
def test_a_range_gives_its_ends_and_even_steps_between(values: Range, expected: list[float]) -> None:
    assert values.grid() == expected


@given(st.floats(1e-6, 1), st.floats(1, 1e3), st.integers(2, 30), st.booleans())
def test_every_range_is_sorted_and_stays_within_its_ends(low: float, factor: float, steps: int, log: bool) -> None:
    points = Range[float](low=low, high=low * factor, log=log, steps=steps).grid()
    assert points == sorted(set(points))
    assert points[0] == low
    assert math.isclose(points[-1], low * factor)
    assert len(points) <= steps


def test_a_range_that_is_written_in_whole_numbers_is_still_one_of_the_hyperparameters_kind() -> None:
    space = SearchSpace.model_validate(
        {"dropout": {"low": 0, "high": 0.5, "steps": 3}, "layers": {"low": 1, "high": 3, "steps": 3}}
    )
    assert {(point.dropout, point.layers) for point in space.grid(DEFAULT)} == {
        (dropout, layers) for dropout in (0.0, 0.25, 0.5) for layers in (1, 2, 3)
    }
