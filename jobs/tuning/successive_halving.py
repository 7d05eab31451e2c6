"""Asynchronous successive halving by promotion.

After Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020 (ASHA).

Every trial trains up to the first rung and pauses there. Whenever an executor is free, the best trial that is among the
best 1/reduction of its rung goes on to the next one, highest rung first; only when there is none, a new trial begins. So a
rung needs no barrier, and no bad trial runs to the end because it came early. Pure: it decides, and runs nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass


def rungs(first: float, last: float, reduction: int) -> tuple[float, ...]:
    """Gives the epochs at which trials pause, and the last, at which they are complete.

    Args:
        first: Epochs of the first rung, above 0; a part of an epoch is as good as a whole one.
        last: Epochs of a complete trial, at least `first`.
        reduction: How many times more epochs each rung has than the one below, and how many trials compete for one place
            (eta in the paper), at least 2.
    """
    found = []
    rung = float(first)
    while rung < last:
        found.append(rung)
        rung *= reduction
    return (*found, float(last))


@dataclass(frozen=True)
class Standing:
    """How far one trial has come.

    Attributes:
        number: Number of the trial.
        scores: Its score at each rung that it has reached, the higher the better.
        free: Whether it is paused; False while it runs, when it has failed, and when it is complete.
    """

    number: int
    scores: tuple[float, ...]
    free: bool


def promotable(standings: Sequence[Standing], reduction: int) -> Standing | None:
    """Chooses the trial to promote now (the paper's `get_job`), or None when no rung has one.

    Args:
        standings: Every trial that has begun; a failed one stands at the rungs that it reached, and takes part in the count.
        reduction: How many trials compete for one place.
    """
    highest = max((len(standing.scores) for standing in standings), default=0)
    for rung in reversed(range(highest)):
        members = [standing for standing in standings if len(standing.scores) > rung]
        places = len(members) // reduction
        for standing in _best(members, rung)[:places]:
            if standing.free and len(standing.scores) == rung + 1:
                return standing
    return None


def leader(standings: Sequence[Standing]) -> Standing | None:
    """Gives the best paused trial of the highest rung that has one: what goes on when too few trials are left to compete."""
    free = [standing for standing in standings if standing.free and standing.scores]
    if not free:
        return None
    highest = max(len(standing.scores) for standing in free)
    return _best([standing for standing in free if len(standing.scores) == highest], highest - 1)[0]


def _best(standings: Sequence[Standing], rung: int) -> list[Standing]:
    return sorted(standings, key=lambda standing: (-standing.scores[rung], standing.number))
