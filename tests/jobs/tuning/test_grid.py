"""The grid as a whole: its size, its order, and what cannot become one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.models.hyperparameters import Hyperparameters
from jobs.tuning.search_space import Range, SearchSpace

DEFAULT = Hyperparameters(layers=3, neurons=32, learning_rate=0.002, batch_size=64, dropout=0.1)
AXES = {
    "layers": [1, 2, 3],
    "neurons": [8, 16, 32, 64],
    "learning_rate": [0.001, 0.002, 0.004],
    "batch_size": [16, 64],
    "dropout": [0.0, 0.1, 0.2],
}


@given(st.fixed_dictionaries({}, optional={name: st.sets(st.sampled_from(axis)) for name, axis in AXES.items()}))
def test_a_grid_is_every_combination_once_and_the_default_first(chosen: dict[str, set[float]]) -> None:
    searched = {name: sorted(values) for name, values in chosen.items() if values}
    points = SearchSpace.model_validate(searched).grid(DEFAULT)
    assert points[0] == DEFAULT
    assert len(set(points)) == len(points)
    inside = all(getattr(DEFAULT, name) in values for name, values in searched.items())
    assert len(points) == math.prod(len(values) for values in searched.values()) + (not inside)
    for point in points[1:]:
        for name in AXES:
            assert getattr(point, name) in searched.get(name, [getattr(DEFAULT, name)])


def test_the_grid_has_the_same_order_each_time_so_that_a_trial_keeps_its_number() -> None:
    space = {"neurons": [64, 8], "learning_rate": {"low": 0.001, "high": 0.1, "log": True, "steps": 3}}
    first, again = (SearchSpace.model_validate(space).grid(DEFAULT) for _ in range(2))
    assert first == again
    assert [(point.neurons, point.learning_rate) for point in first[1:]] == [
        (neurons, rate) for neurons in (64, 8) for rate in (0.001, 0.01, 0.1)
    ]


def test_every_point_of_a_grid_is_within_the_limits_of_a_network() -> None:
    space = SearchSpace.model_validate(
        {
            "layers": {"low": 1, "high": 16, "steps": 1000},
            "dropout": {"low": 0, "high": 0.99, "steps": 2},
            "learning_rate": {"low": 1e-9, "high": 10, "log": True, "steps": 2},
        }
    )
    points = space.grid(DEFAULT)
    assert len(points) == 1 + 16 * 2 * 2
    for point in points:
        assert Hyperparameters.model_validate(point.model_dump()) == point


def test_a_range_without_steps_has_no_grid() -> None:
    with pytest.raises(ValueError, match="steps is missing; accepted for a grid: "):
        SearchSpace(neurons=Range[int](low=8, high=64)).grid(DEFAULT)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"neurons": []}, "at least 1 item"),
        ({"neurons": [8, 16, 8]}, r"\[8, 16, 8\] repeats a value; accepted: each value once"),
        ({"learning_rate": [0.1, "0.1"]}, "repeats a value"),
        ({"neurons": [0]}, "greater than or equal to 1"),
        ({"neurons": [8.5]}, "valid integer"),
        ({"dropout": [1.0]}, "less than 1"),
        ({"momentum": 0.9}, "momentum"),
        ({"neurons": {"values": [8], "when": {"depth": 2}}}, "neurons.when: 'depth'; accepted: batch_normalization, "),
        ({"schedule": ["linear"]}, "'constant' or 'cosine'"),
        (
            {
                "layers": {"values": [2], "when": {"neurons": 8}},
                "neurons": {"low": 1, "high": 8, "when": {"layers": 2}},
            },
            "when: .* depends on .*; accepted: conditions without a circle",
        ),
        ({"neurons": {"low": 9, "high": 8}}, r"high \(8\) is below low \(9\)"),
        ({"dropout": {"low": 0, "high": 0.5, "log": True}}, r"low \(0\) has no logarithm; accepted with log: above 0"),
        ({"neurons": {"low": 1, "high": 8, "steps": 1}}, "greater than or equal to 2"),
        ({"neurons": {"low": 1, "high": 8, "steps": 1001}}, "less than or equal to 1000"),
        ({"neurons": {"low": 1, "high": 8, "base": 2}}, "base"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(space: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SearchSpace.model_validate(space)
