"""Finding the batch size with which a graph is fastest on this machine. Importing this module imports TensorFlow."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from jobs.models.frozen_graph import FrozenGraph
from jobs.models.sample_jpegs import sample_jpegs

CANDIDATES = (4, 8, 16, 32)
"""Smallest first."""

_SECONDS = 0.5
"""For which each candidate is tried, at least; long enough to see a difference of a few per cent."""

_NO_BETTER = 0.97
"""A larger batch needs more memory: it is taken only for a gain of three per cent, and where it loses none larger is tried."""


def fastest_batch_size(graph: FrozenGraph, cores: int) -> int:
    """Tries batches of several sizes, one on each core at once, as they are labelled.

    Args:
        graph: Any; one that is fed one image at a time is given the smallest.
        cores: That infer side by side.
    """
    if graph.plan.cut_tensor is None:
        return CANDIDATES[0]
    samples = [graph.prepare(sample) for sample in sample_jpegs()]

    def seconds_per_image(batch_size: int) -> float:
        batch = (samples * batch_size)[:batch_size]
        return _seconds_per_call(lambda: graph.scores(batch), cores) / batch_size

    return fastest_of(CANDIDATES, seconds_per_image)


def fastest_of(candidates: tuple[int, ...], seconds_per_image: Callable[[int], float]) -> int:
    """Chooses the smallest candidate that none of the next larger ones clearly beats.

    Args:
        candidates: Smallest first, at least one.
        seconds_per_image: Measures a candidate; called in order, and not for those after one that is no faster.
    """
    best, least = candidates[0], seconds_per_image(candidates[0])
    for candidate in candidates[1:]:
        took = seconds_per_image(candidate)
        if took >= _NO_BETTER * least:
            break
        best, least = candidate, took
    return best


def _seconds_per_call(call: Callable[[], object], cores: int) -> float:
    call()  # kernels are made ready for this size

    def repeat(until: float) -> int:
        calls = 0
        while time.monotonic() < until:
            call()
            calls += 1
        return calls

    started = time.monotonic()
    with ThreadPoolExecutor(cores) as streams:
        calls = sum(streams.map(repeat, [started + _SECONDS] * cores))
    return (time.monotonic() - started) / calls
