"""What `make demo` does, with a DAG that never ends: run by the tests, which interrupt it."""

import os
import sys
from pathlib import Path

from local import __main__ as command_line
from local.demo import _stack
from local.progress import PlainDisplay
from local.runs import follow, wait_for_dags
from local.settings import Settings


def endless(airflow_url: None) -> int:
    display = PlainDisplay(lambda line: None)
    with _stack(Settings.from_environment(), display) as (airflow, since):
        wait_for_dags(airflow, ["naps"], since)
        follow(airflow, "naps", {"file": os.environ["NAP_FILE"]}, display)
    return 0


if __name__ == "__main__":
    Path(os.environ["NAP_FILE"]).unlink(missing_ok=True)
    command_line.demo = endless
    sys.exit(command_line.main(["demo"]))
