"""The progress line: for the person who reads Airflow's task log at 3 a.m."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

log = logging.getLogger("atoll")


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        done: Images finished, in quarantine or not.
        quarantined: Of these, in quarantine.
        images: All images of the set.
        seconds: Since labelling began.
    """

    done: int
    quarantined: int
    images: int
    seconds: float

    def line(self) -> str:
        """Writes `progress: 512/2000 images, 12 quarantined, 84 images/s, 0:18 left`."""
        speed = self.done / self.seconds if self.seconds > 0 else 0.0
        left = f"{_clock((self.images - self.done) / speed)} left" if speed else "time left unknown"
        counts = f"{self.done}/{self.images} images, {self.quarantined} quarantined"
        return f"progress: {counts}, {speed:.{0 if speed >= 10 else 1}f} images/s, {left}"


@contextmanager
def logged_progress(
    images: int, done: Callable[[], int], quarantined: Callable[[], int], every: float = 5.0
) -> Iterator[None]:
    """Logs a line every few seconds while the block runs, but only when something has changed.

    Args:
        images: All images of the set.
        done: Tells how many are finished.
        quarantined: Tells how many of them are in quarantine.
        every: Seconds between two lines.
    """
    started = time.monotonic()
    finished = threading.Event()

    def poll() -> None:
        shown = 0
        while not finished.wait(every):
            now = min(done(), images)
            if now != shown:
                shown = now
                log.info("%s", Progress(now, quarantined(), images, time.monotonic() - started).line())

    poller = threading.Thread(target=poll, name="progress", daemon=True)
    poller.start()
    try:
        yield
    finally:
        finished.set()
        poller.join()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
