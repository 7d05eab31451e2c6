"""What every spark-submit application shares: one clear line for each mistake, and no orphan drivers."""

import argparse
import contextlib
import ctypes
import errno
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from jobs.ends_with import end_with_ancestors
from jobs.errors import AtollError, InvalidArgumentError
from jobs.printing import printable
from jobs.results import Failure, Result

log = logging.getLogger("atoll")

USER_ERROR = 2
"""Exit status for a mistake that the user can mend; Python's own 1 is left to defects."""

ERROR_FILE = "error.json"
"""What a step leaves beside `result.json` when it stops with `USER_ERROR`."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Arguments(argparse.ArgumentParser):
    """A job's arguments, without abbreviations; a mistake in them is told as any other is, in one line."""

    def __init__(self, *, prog: str, description: str | None) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Refuses the command line.

        Raises:
            InvalidArgumentError: Always.
        """
        raise InvalidArgumentError(f"{' '.join(message.split())}; accepted: see {self.prog}.py --help")


def run(main: Callable[[argparse.Namespace], Result], arguments: argparse.ArgumentParser) -> None:
    """Parses the arguments, runs `main` and writes its result; ends the process with its exit status.

    An `AtollError`, a full disk and an unwritable folder are reported in one line with status 2, and in `error.json` beside
    the result.

    Args:
        main: The step; takes the parsed arguments and gives the result to write.
        arguments: The step's own arguments; `--workspace` and `--result` are added here.
    """
    die_with_parent()
    end_with_ancestors()
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    for chatty in ("py4j", "alembic", "mlflow", "optuna", "httpx", "absl", "tensorflow", "botocore"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    arguments.add_argument("--workspace", metavar="FOLDER", help="the workspace (default: $ATOLL_HOME, else ./var)")
    arguments.add_argument("--result", type=Path, metavar="FILE", help="where to write result.json")
    place = _place_of_the_result()
    try:
        options = arguments.parse_args()
        result = main(options)
        if options.result:
            result.write(options.result)
    except AtollError as error:
        failure = Failure(message=str(error), transient=error.transient)
    except PermissionError as error:
        message = f"{error.filename}: permission denied; accepted: a place that this user can write"
        failure = Failure(message=message, transient=False)
    except OSError as error:
        if error.errno == errno.EROFS:
            message = f"{error.filename}: read-only file system; accepted: a place that this user can write"
            failure = Failure(message=message, transient=False)
        elif error.errno in (errno.ENOSPC, errno.EDQUOT):
            outcome = getattr(error, "__notes__", ["nothing was published"])[-1]
            message = f"{error.filename or 'the workspace'}: no space left on the device; {outcome}"
            failure = Failure(message=message, transient=True)
        else:
            raise
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    else:
        return
    _stop(arguments.prog, failure, place)


def _place_of_the_result() -> Path | None:
    """Finds where the result goes even where the other arguments cannot be understood."""
    lenient = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    lenient.add_argument("--result", type=Path)
    try:
        place: Path | None = lenient.parse_known_args()[0].result
    except argparse.ArgumentError:  # without a value; the job's own parser will say so
        return None
    return place


def die_with_parent() -> None:
    """Asks the kernel to end this driver when spark-submit dies, so that a killed Airflow leaves no orphan behind.

    Does nothing where the system is not Linux.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the kernel was asked
        os.kill(os.getpid(), signal.SIGTERM)


def _stop(program: str, failure: Failure, result: Path | None) -> NoReturn:
    failure = Failure(message=printable(" ".join(failure.message.split())), transient=failure.transient)
    sys.stdout.flush()
    sys.stderr.write(f"{program}: error: {failure.message}\n")
    if result:
        with contextlib.suppress(OSError):  # the disk may be what failed; the line above says so
            failure.write(result.with_name(ERROR_FILE))
    sys.exit(USER_ERROR)
