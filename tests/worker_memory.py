"""The most memory that the Python workers of this process's Spark application take."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil


@contextmanager
def peak_memory_of_workers() -> Iterator[list[int]]:
    """Watches while the block runs; afterwards the list holds the peak in bytes of each worker, largest first."""
    peaks: dict[int, int] = {}
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error, OSError, ValueError, StopIteration):
                    if "pyspark.daemon" in process.cmdline():
                        peaks[process.pid] = _peak(process.pid)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    found: list[int] = []
    try:
        yield found
    finally:
        stop.set()
        watcher.join()
        found.extend(sorted(peaks.values(), reverse=True))


def _peak(pid: int) -> int:
    """The kernel's own high-water mark, so that no peak between two looks is missed."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
