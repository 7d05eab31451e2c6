"""Confidence intervals: how far a measured accuracy may be from the true one."""

import math
from collections.abc import Sequence
from statistics import mean, stdev

LEVEL = 0.95
"""Share of intervals that hold the true value."""


def interval_of_mean(values: Sequence[float]) -> tuple[float, float]:
    """Gives Student's interval for the mean of a few runs that differ in their seed.

    Args:
        values: At least two.

    Raises:
        ValueError: There are fewer.
    """
    from scipy.stats import t

    if len(values) < 2:
        raise ValueError(f"{len(values)} values; accepted: at least 2")
    half = float(t.ppf((1 + LEVEL) / 2, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return mean(values) - half, mean(values) + half


def interval_of_share(correct: int, images: int) -> tuple[float, float]:
    """Gives Wilson's interval for a share that was counted (Wilson 1927).

    Args:
        correct: How many were right.
        images: Of how many, at least 1.
    """
    from scipy.stats import binomtest

    found = binomtest(correct, images).proportion_ci(LEVEL, method="wilson")
    return float(found.low), float(found.high)
