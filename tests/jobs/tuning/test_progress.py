"""The progress line."""

from jobs.tuning.progress import StudyProgress, duration
from tests.jobs.tuning.outcomes import outcome


class Clock:
    """Time that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_durations_read_as_a_clock() -> None:
    assert [duration(seconds) for seconds in (0, 59.6, 61, 3600, 7384)] == [
        "0:00",
        "1:00",
        "1:01",
        "1:00:00",
        "2:03:04",
    ]


def test_the_line_tells_done_running_best_and_time_left() -> None:
    clock = Clock()
    progress = StudyProgress(total=5, epochs=5, known=[], clock=clock)
    progress.start(2)
    clock.now = 20
    progress.finish(outcome(0, 0.91))
    clock.now = 30
    progress.finish(outcome(1, 0.95, learning_rate=0.003))
    assert progress.line() == (
        "progress: 2/5 trials, 2 running, best 95.00% "
        "(trial 1: layers=1 neurons=32 learning_rate=0.003 batch_size=32 dropout=0), 0:45 left"
    )


def test_trials_known_from_an_earlier_driver_count_as_done_but_not_for_the_pace() -> None:
    clock = Clock()
    progress = StudyProgress(total=4, epochs=4, known=[outcome(0, 0.9), outcome(1, 0.8)], clock=clock)
    clock.now = 10
    progress.finish(outcome(2, 0.7))
    assert "3/4 trials" in progress.line()
    assert progress.line().endswith("0:10 left")


def test_failed_trials_are_counted_and_never_best() -> None:
    progress = StudyProgress(total=2, epochs=2, known=[], clock=Clock())
    progress.finish(outcome(0, None))
    assert progress.line() == "progress: 1/2 trials, 0 running, 1 failed, 0:00 left"
