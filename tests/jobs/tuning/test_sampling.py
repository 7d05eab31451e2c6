"""Points that cover a space, and points proposed from what is known."""

import math

import pytest

from jobs.models.hyperparameters import Hyperparameters
from jobs.tuning.sampling import propose, sparse_points
from jobs.tuning.search_space import Range, SearchSpace
from jobs.tuning.trial import TrialOutcome
from tests.jobs.tuning.outcomes import DEFAULT, outcome

SPACE = SearchSpace(
    learning_rate=Range[float](low=1e-4, high=1e-1, log=True),
    neurons=[16, 32, 64, 128],
    dropout=Range[float](low=0.0, high=0.5),
)


def test_sparse_points_begin_with_the_default_and_are_the_same_for_the_same_seed() -> None:
    points = sparse_points(SPACE, DEFAULT, 17, seed=3)
    assert points[0] == DEFAULT
    assert len(set(points)) == 17
    assert points == sparse_points(SPACE, DEFAULT, 17, seed=3)
    assert points[:9] == sparse_points(SPACE, DEFAULT, 9, seed=3), "more trials add points, and change none"
    assert points != sparse_points(SPACE, DEFAULT, 17, seed=4)


def test_sparse_points_cover_every_part_of_the_space() -> None:
    points = sparse_points(SPACE, DEFAULT, 33, seed=0)[1:]
    for part in range(8):
        share = sum(part <= (math.log10(point.learning_rate) + 4) / 3 * 8 < part + 1 for point in points)
        assert 2 <= share <= 6, "random points would leave gaps"
        assert any(part <= point.dropout * 16 < part + 1 for point in points)
    assert {point.neurons for point in points} == {16, 32, 64, 128}
    assert {point.layers for point in points} == {DEFAULT.layers}


def test_a_small_space_gives_each_of_its_points_once() -> None:
    points = sparse_points(SearchSpace(neurons=[16, 32, 64]), DEFAULT, 50, seed=0)
    assert sorted(point.neurons for point in points) == [16, 32, 64]
    assert sparse_points(SearchSpace(), DEFAULT, 50, seed=0) == [DEFAULT]


def test_a_proposal_lies_in_the_space_and_depends_on_its_arguments_alone() -> None:
    ended = [outcome(number, 0.5 + number / 100, neurons=[16, 64][number % 2]) for number in range(12)]
    proposals = [propose(SPACE, DEFAULT, ended, [DEFAULT], seed) for seed in range(20)]
    assert proposals == [propose(SPACE, DEFAULT, ended, [DEFAULT], seed) for seed in range(20)]
    assert len(set(proposals)) == 20
    for point in proposals:
        assert 1e-4 <= point.learning_rate <= 1e-1
        assert point.neurons in (16, 32, 64, 128)
        assert 0 <= point.dropout <= 0.5
        assert point.batch_size == DEFAULT.batch_size


def test_proposals_go_where_the_scores_are_good() -> None:
    def accuracy(rate: float) -> float:
        return 1 - abs(math.log10(rate) + 2) / 3  # best at 0.01

    ended = [
        outcome(number, accuracy(rate), learning_rate=rate)
        for number, rate in enumerate(10 ** (-4 + 3 * step / 29) for step in range(30))
    ]
    space = SearchSpace(learning_rate=Range[float](low=1e-4, high=1e-1, log=True))
    found = [propose(space, DEFAULT, ended, [], seed).learning_rate for seed in range(20)]
    assert sum(0.003 < rate < 0.03 for rate in found) >= 14


def test_points_outside_of_a_narrowed_space_do_no_harm() -> None:
    ended = [outcome(0, 0.9, learning_rate=0.5), outcome(1, None), outcome(2, 0.8, neurons=16)]
    assert propose(SPACE, DEFAULT, ended, [], seed=1).neurons in (16, 32, 64, 128)


@pytest.mark.parametrize("space", [SearchSpace(neurons=[16, 32]), SPACE])
def test_the_first_proposal_needs_nothing_known(space: SearchSpace) -> None:
    assert propose(space, DEFAULT, [], [], seed=0).layers == DEFAULT.layers


CONDITIONAL = SearchSpace.model_validate(
    {
        "kernel": [3, 5],
        "convolutions": {"values": [2, 3], "when": {"kernel": 3}},
        "schedule": ["constant", "cosine"],
        "rotation": {"low": 1.0, "high": 9.0, "when": {"schedule": "cosine", "convolutions": [3]}},
    }
)


def keeps_to_its_conditions(point: Hyperparameters) -> bool:
    return (point.convolutions in (2, 3) if point.kernel == 3 else point.convolutions == 1) and (
        1 <= point.rotation <= 9 if point.schedule == "cosine" and point.convolutions == 3 else point.rotation == 0
    )


def test_a_condition_holds_in_every_strategy() -> None:
    grid = SearchSpace.model_validate({"kernel": [3, 5], "convolutions": {"values": [1, 2], "when": {"kernel": 3}}})
    assert sorted((point.kernel, point.convolutions) for point in grid.grid(DEFAULT)) == [(3, 1), (3, 2), (5, 1)]
    sparse = sparse_points(CONDITIONAL, DEFAULT, 40, seed=0)[1:]
    known: list[TrialOutcome] = []
    for number in range(25):
        point = propose(CONDITIONAL, DEFAULT, known, [], seed=number)
        known.append(outcome(number, 0.5 + point.rotation / 20, **point.model_dump()))
    proposed = [one.hyperparameters for one in known]
    for points in (sparse, proposed):
        assert all(keeps_to_its_conditions(point) for point in points)
        assert {point.kernel for point in points} == {3, 5}
    assert sum(point.rotation > 0 for point in proposed[10:]) > 7, "it has found where the accuracy comes from"
