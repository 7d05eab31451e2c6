"""Who goes on: the paper's rule, decided from standings alone."""

import random

import pytest

from jobs.tuning.successive_halving import Standing, leader, promotable, rungs

FAILED = float("-inf")


@pytest.mark.parametrize(
    ("first", "last", "reduction", "expected"),
    [
        (1, 27, 3, (1, 3, 9, 27)),
        (1, 20, 4, (1, 4, 16, 20)),
        (2, 8, 2, (2, 4, 8)),
        (5, 6, 4, (5, 6)),
        (3, 3, 4, (3,)),
    ],
)
def test_rungs_grow_by_the_reduction_up_to_a_complete_trial(
    first: int, last: int, reduction: int, expected: tuple[int, ...]
) -> None:
    assert rungs(first, last, reduction) == expected


def at(*scores: tuple[float, ...], running: tuple[int, ...] = ()) -> list[Standing]:
    return [
        Standing(number, one, free=number not in running and FAILED not in one) for number, one in enumerate(scores)
    ]


@pytest.mark.parametrize(
    ("standings", "chosen"),
    [
        (at(), None),
        (at((0.5,)), None),
        (at((0.5,), (0.7,)), None),
        (at((0.5,), (0.7,), (0.6,)), 1),
        (at((0.7,), (0.7,), (0.6,)), 0),
        (at((0.5,), (0.7,), (0.6,), running=(1,)), None),
        (at((0.5,), (0.7, 0.8), (0.6,), (0.4,), (0.3,)), None),
        (at((0.5,), (0.7, 0.8), (0.6,), (0.4,), (0.3,), (0.2,)), 2),
        (at((0.9,), (FAILED,), (FAILED,)), 0),
        (at((FAILED,), (FAILED,), (FAILED,)), None),
        (at((0.9, 0.9), (0.8, 0.8), (0.7, 0.95), (0.6,), (0.5,), (0.4,), (0.3,), (0.2,), (0.1,)), 2),
    ],
    ids=[
        "nothing has begun",
        "one has no one to beat",
        "two of three are too few",
        "the best third",
        "of equal ones the earlier",
        "the best runs already",
        "its place is taken",
        "a second place",
        "failed ones count as beaten",
        "none that failed",
        "the highest rung first",
    ],
)
def test_the_best_of_a_rung_that_has_a_place_is_promoted(standings: list[Standing], chosen: int | None) -> None:
    found = promotable(standings, reduction=3)
    assert (found.number if found else None) == chosen


def test_the_leader_is_the_best_of_the_highest_rung_that_is_free() -> None:
    assert leader([]) is None
    assert leader(at((0.5,), (0.9,), running=(0, 1))) is None
    chosen = leader(at((0.99,), (0.5, 0.6), (0.4, 0.7), (0.9, 0.9), running=(3,)))
    assert chosen
    assert chosen.number == 2


def test_with_one_executor_a_bad_first_trial_does_not_run_to_the_end() -> None:
    """What people miss in tools that only stop trials: https://github.com/ray-project/ray/issues/44256."""
    quality = [random.Random(1).random() for _ in range(27)]
    quality[0] = -1.0
    reached: dict[int, int] = {}
    scores: dict[int, tuple[float, ...]] = {}
    while True:
        chosen = promotable([Standing(number, one, len(one) < 4) for number, one in scores.items()], 3)
        number = chosen.number if chosen else len(scores)
        if number >= 27:
            break
        scores[number] = (*scores.get(number, ()), quality[number])
        reached[number] = len(scores[number])
    assert reached[0] == 1
    assert reached[quality.index(max(quality))] == 4
    # Being asynchronous costs a few wrong promotions; without early stopping it would be 27 * 27 epochs.
    spent = sum((1, 3, 9, 27)[depth - 1] for depth in reached.values())
    assert spent < 27 * 27 / 4
