"""Labels images in a driver that is killed at one step of publishing, as by a machine that is out of memory.

    spark-submit dying_driver.py STEP driver|tree ARGUMENTS...

The arguments are those of `label_images`. Python tells a hook (PEP 578) of each renaming, removal and look-up in a library
just before it happens, so the driver itself is as it always is.
"""

import os
import re
import runpy
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Step:
    """What the driver is about to do when it is killed.

    Attributes:
        event: Python's name of it.
        target: Pattern of the file or function that it is done to.
        argument: Which of the event's arguments that is.
        nth: Which of several.
        decided: Whether the run is to be completed by the next one.
    """

    event: str
    target: str
    argument: int
    nth: int
    decided: bool


STEPS = {
    "deciding": Step("os.rename", r"/\.publish\.json$", 1, 1, decided=False),
    "exchanging labels": Step("ctypes.dlsym", "^renameat2$", 1, 1, decided=True),
    "exchanging quarantine": Step("ctypes.dlsym", "^renameat2$", 1, 2, decided=True),
    "ending": Step("os.remove", r"/\.publish\.json$", 0, 1, decided=True),
}
"""In their order."""

_RUN_BEGINS = Step("os.rename", r"/\.labels\.staged-\w+/part-", 1, 1, decided=False)
"""Before it the driver completes what another has left, by the same steps."""


def kill_at(step: Step, whom: str) -> None:
    """Watches what this process does, and ends it; `whom` is `driver`, or `tree` for spark-submit and all its children."""
    begun, times = False, 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal begun, times
        begun = begun or _is(_RUN_BEGINS, event, arguments)
        if not begun or not _is(step, event, arguments):
            return
        times += 1
        if times == step.nth and whom == "tree":
            os.killpg(os.getpgid(0), signal.SIGKILL)
        elif times == step.nth:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def _is(step: Step, event: str, arguments: tuple[object, ...]) -> bool:
    return event == step.event and re.search(step.target, str(arguments[step.argument])) is not None


if __name__ == "__main__":
    kill_at(STEPS[sys.argv[1]], sys.argv[2])
    sys.argv[:3] = ["label_images.py"]
    runpy.run_path(str(REPOSITORY / "jobs" / "label_images.py"), run_name="__main__")
