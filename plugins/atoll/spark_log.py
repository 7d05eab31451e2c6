"""spark-submit's output as a person wants to read it, and what it says on the way about addresses."""

import re
from collections.abc import Callable, Iterable, Iterator

_CHATTER = re.compile(
    r"^\d\d/\d\d/\d\d \d\d:\d\d:\d\d (INFO|DEBUG|TRACE) "  # Spark's own lines; its warnings are kept
    r"|^\d\d/\d\d/\d\d \d\d:\d\d:\d\d WARN NativeCodeLoader: "
    r"|^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d INFO mlflow\."
    r"|^Using Spark's default log4j profile"
    r"|^Setting default log level to "
    r"|^To adjust logging level use "
    r"|^WARNING: Using incubator modules"
)

_ANNOUNCED = (
    re.compile(r"^Spark application (?P<spark_application>\S+), its UI at (?P<spark_ui>\S+)$"),
    re.compile(r"^MLflow experiment (?P<mlflow_experiment>\S+), run (?P<mlflow_run>\S+)$"),
)
"""Lines of `jobs` that say where to look; the task's links are made of them."""


def readable(lines: Iterable[str], announce: Callable[[dict[str, str]], None]) -> Iterator[str]:
    """Leaves out Spark's own chatter, and tells what the job announces.

    Args:
        lines: Of spark-submit, in the order in which they come.
        announce: Takes what a line announces, such as `spark_ui` and its address, as soon as it comes.
    """
    for line in lines:
        if _CHATTER.match(line):
            continue
        for pattern in _ANNOUNCED:
            if found := pattern.match(line.strip()):
                announce(found.groupdict())
        yield line
