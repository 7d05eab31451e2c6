"""The promotion gate's decision: McNemar's exact test, one-sided."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.registry.promotion import decide


def predictions(both: int, won: int, lost: int, neither: int) -> tuple[list[int], list[int], list[int]]:
    """Labels, challenger and champion with as many images of each kind."""
    labels = [1] * (both + won + lost + neither)
    challenger = [1] * both + [1] * won + [0] * lost + [0] * neither
    champion = [1] * both + [0] * won + [1] * lost + [0] * neither
    return labels, challenger, champion


@pytest.mark.parametrize(
    ("won", "lost", "p_value", "promoted"),
    [
        (0, 0, 1.0, False),  # the same classifier
        (4, 0, 0.0625, False),  # too few to tell
        (5, 0, 0.03125, True),
        (15, 5, 0.020695, True),
        (5, 15, 0.994091, False),  # worse
        (10, 10, 0.588099, False),
    ],
)
def test_a_challenger_takes_over_only_when_it_is_significantly_better(
    won: int, lost: int, p_value: float, promoted: bool
) -> None:
    decision = decide(*predictions(100, won, lost, 3))
    assert decision.p_value == pytest.approx(p_value, abs=1e-6)
    assert decision.promoted is promoted
    assert f"on {won} of {103 + won + lost} test images, wrong where it is right on {lost}" in decision.reason


@given(st.integers(0, 200), st.integers(0, 30), st.integers(0, 30), st.integers(0, 20), st.integers(0, 100))
def test_images_on_which_both_agree_change_nothing(both: int, won: int, lost: int, neither: int, more: int) -> None:
    one, other = decide(*predictions(both, won, lost, neither)), decide(*predictions(both + more, won, lost, neither))
    assert one.p_value == other.p_value


@given(st.integers(0, 30), st.integers(0, 30))
def test_two_classifiers_are_never_both_better_than_each_other(won: int, lost: int) -> None:
    labels, challenger, champion = predictions(10, won, lost, 0)
    assert not (decide(labels, challenger, champion).promoted and decide(labels, champion, challenger).promoted)
