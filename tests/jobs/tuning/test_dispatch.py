"""Dispatch, with threads in the place of executors."""

import threading
import time

from jobs.tuning.dispatch import dispatch
from jobs.tuning.trial import TrialOutcome, TrialSpecification
from tests.jobs.tuning.outcomes import DEFAULT, outcome

DEADLINE = 10.0


class Listed:
    """A strategy that hands out a fixed number of trials."""

    def __init__(self, trials: int) -> None:
        self.left = list(range(trials))
        self.reported: list[int] = []

    def next_trial(self) -> TrialSpecification | None:
        return TrialSpecification(self.left.pop(0), DEFAULT, 0, 1) if self.left else None

    def report(self, ended: TrialOutcome) -> None:
        self.reported.append(ended.number)


def test_every_trial_runs_once_and_is_reported() -> None:
    strategy = Listed(20)
    ended = [one.number for one in dispatch(strategy, lambda trial: outcome(trial.number, 0.5), lambda: 3)]
    assert sorted(ended) == list(range(20))
    assert sorted(strategy.reported) == list(range(20))


def test_never_more_trials_run_than_there_are_slots() -> None:
    lock, running, most = threading.Lock(), 0, 0

    def runner(trial: TrialSpecification) -> TrialOutcome:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.01)
        with lock:
            running -= 1
        return outcome(trial.number, 0.5)

    list(dispatch(Listed(12), runner, lambda: 3))
    assert most == 3


def test_a_slow_trial_holds_back_no_other_slot() -> None:
    released = threading.Event()

    def runner(trial: TrialSpecification) -> TrialOutcome:
        if trial.number == 0:
            assert released.wait(DEADLINE), "the other trials never all ended: there is a barrier"
        return outcome(trial.number, 0.5)

    order = []
    for ended in dispatch(Listed(10), runner, lambda: 2):
        order.append(ended.number)
        if len(order) == 9:
            released.set()
    assert order[-1] == 0


def test_a_slot_that_appears_later_is_used() -> None:
    slots, both = 1, threading.Barrier(2, timeout=DEADLINE)

    def runner(trial: TrialSpecification) -> TrialOutcome:
        both.wait()  # passes only when two trials run at once
        return outcome(trial.number, 0.5)

    def grow() -> None:
        nonlocal slots
        slots = 2

    timer = threading.Timer(0.2, grow)
    timer.start()
    assert len(list(dispatch(Listed(2), runner, lambda: slots))) == 2
    timer.join()


def test_freed_slots_are_busy_again_before_the_caller_is_told() -> None:
    started: list[int] = []

    def runner(trial: TrialSpecification) -> TrialOutcome:
        started.append(trial.number)
        return outcome(trial.number, 0.5)

    for ended in dispatch(Listed(3), runner, lambda: 1):
        deadline = time.monotonic() + DEADLINE
        while len(started) < min(3, ended.number + 2):
            assert time.monotonic() < deadline, "the next trial waits for the caller"
            time.sleep(0.001)
