"""Command line of the local stack: `python -m local up|down|status|demo|airflow|backup|restore`, most of which `make` calls."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from jobs.errors import AtollError
from local.environment import USER
from local.settings import Settings, airflow_command
from local.stack import Stack
from local.state import StackState

FAILED = 1
DOWN = 3
INTERRUPTED = 130

STANDARD_STREAM = "-"


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
    saved = commands.add_parser("backup", help="write databases, workspace and keys into a new folder")
    saved.add_argument(
        "folder", metavar="FOLDER", help="a folder that does not exist; - for a tar on the standard output"
    )
    saved.add_argument(
        "--without-images", action="store_true", help="leave the image sets out, which are kept elsewhere"
    )
    brought = commands.add_parser("restore", help="make an empty stack what it was when a back-up was made")
    brought.add_argument("folder", metavar="FOLDER", help="the back-up; - for a tar on the standard input")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        if options.command == "demo":
            return demo(options.airflow)
        if options.command == "airflow":
            return airflow(options.words)
        if options.command == "backup":
            return backup(options.folder, not options.without_images)
        if options.command == "restore":
            return restore(options.folder)
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


def backup(folder: str, images: bool) -> int:
    """Writes a back-up into a folder, or as a tar to the standard output."""
    from local.backup import stream
    from local.backup.make import back_up

    settings = Settings.from_environment()
    if folder == STANDARD_STREAM:
        stream.send(settings, sys.stdout.buffer, images=images, say=_aside)
    else:
        manifest = back_up(settings, Path(folder), images=images)
        print(f"The back-up is in {folder}." + (" It holds the keys of the stack." if manifest.secrets else ""))
    return 0


def restore(folder: str) -> int:
    """Restores a back-up from a folder, or from a tar on the standard input."""
    from local.backup import stream
    from local.backup.restore import restore as bring_back

    settings = Settings.from_environment()
    if folder == STANDARD_STREAM:
        stream.receive(settings, sys.stdin.buffer, say=_aside)
    else:
        manifest = bring_back(settings, Path(folder))
        print(f"Restored what was there at {manifest.made_at:%Y-%m-%d %H:%M} UTC. Start it with: make up")
    return 0


def demo(airflow_url: str | None) -> int:
    """Runs the demonstration, on a stack of its own or on an Airflow that runs."""
    from local.demo import run_demo  # its imports cost a second, which the other commands need not wait for

    run_demo(Settings.from_environment(), airflow_url)
    return 0


def _aside(line: str) -> None:
    print(line, file=sys.stderr)


def _addresses(stack: Stack, state: StackState) -> None:
    mlflow = state.component("mlflow")
    print(f"  Airflow     {state.airflow_url}  user {USER}, password {stack.secrets.admin_password}")
    if mlflow is not None:
        print(f"  MLflow      {mlflow.url}")
    print(f"  PostgreSQL  {state.database}")
    print(f"  logs        {stack.settings.logs}")
    print("  nights      begin when you switch on tune_model and label_images in Airflow")


def _interrupt(number: int, frame: FrameType | None) -> None:
    for further in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a second one must not cut the cleaning up short
        signal.signal(further, signal.SIG_IGN)
    print("\natoll: stopping everything", file=sys.stderr)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
