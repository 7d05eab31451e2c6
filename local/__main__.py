"""Command line of the local stack: `python -m local up|down|status|demo|airflow`, most of which `make` calls."""

import argparse
import os
import signal
import sys
import time
from types import FrameType

from jobs.errors import AtollError
from local.environment import USER
from local.settings import Settings, airflow_command
from local.stack import Stack
from local.state import StackState

FAILED = 1
DOWN = 3
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit status: 0 well, 1 failed, 3 `status` of a stack that is down, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", help="start PostgreSQL, Airflow and MLflow, and leave them running")
    commands.add_parser("down", help="stop everything, whatever state it is in")
    commands.add_parser("status", help="say what runs; exit status 3 when the stack is down")
    shown = commands.add_parser("demo", help="tune a model and label images with it, then stop everything")
    shown.add_argument(
        "--airflow", metavar="URL", help="an Airflow that runs, on whose workspace this is; it is left running"
    )
    program = commands.add_parser(
        "airflow", help="run Airflow's own command line on the stack that runs", add_help=False
    )
    program.add_argument("words", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        if options.command == "demo":
            return demo(options.airflow)
        if options.command == "airflow":
            return airflow(options.words)
        return {"up": up, "down": down, "status": status}[options.command]()
    except AtollError as error:
        print(f"atoll: error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("atoll: interrupted; nothing is left running", file=sys.stderr)
        return INTERRUPTED


def up() -> int:
    """Starts the stack, or says that it is up already."""
    began = time.monotonic()
    stack = Stack(Settings.from_environment())
    state, started = stack.up()
    print(f"Atoll is up ({time.monotonic() - began:.1f} s)." if started else "Atoll is up already.")
    _addresses(stack, state)
    return 0


def down() -> int:
    """Stops the stack."""
    ran = Stack(Settings.from_environment()).down()
    print("Atoll is down." if ran else "Atoll was down already.")
    return 0


def status() -> int:
    """Says what runs."""
    parts = Stack(Settings.from_environment()).status()
    if not parts:
        print("Atoll is down.")
        return DOWN
    for part in parts:
        health = "healthy" if part.healthy else "not healthy"
        print(f"{part.name:<14} {part.pid or '-':>8}  {health:<12} {part.address or ''}".rstrip())
    return 0 if all(part.healthy for part in parts) else DOWN


def airflow(words: list[str]) -> int:
    """Becomes Airflow's command line, as `airflow WORDS` would be if its settings were this stack's."""
    environment = Stack(Settings.from_environment()).environment()
    # Its own messages go to the standard output, where they would spoil `--output json`.
    quiet = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore"}
    command = airflow_command(*words)
    os.execve(command[0], command, environment | quiet)  # noqa: S606  # so that signals and the exit status are its own


def demo(airflow_url: str | None) -> int:
    """Runs the demonstration, on a stack of its own or on an Airflow that runs."""
    from local.demo import run_demo  # its imports cost a second, which the other commands need not wait for

    run_demo(Settings.from_environment(), airflow_url)
    return 0


def _addresses(stack: Stack, state: StackState) -> None:
    mlflow = state.component("mlflow")
    print(f"  Airflow     {state.airflow_url}  user {USER}, password {stack.secrets.admin_password}")
    if mlflow is not None:
        print(f"  MLflow      {mlflow.url}")
    print(f"  PostgreSQL  {state.database}")
    print(f"  logs        {stack.settings.logs}")


def _interrupt(number: int, frame: FrameType | None) -> None:
    for further in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a second one must not cut the cleaning up short
        signal.signal(further, signal.SIG_IGN)
    print("\natoll: stopping everything", file=sys.stderr)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
