"""Shows a DAG run as it goes: a live table on a terminal, plain lines in a log."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from local.rest import Task

PROGRESS = "progress:"
"""How a job's line begins that is worth showing."""

_COLOURS = {"success": "green", "running": "cyan", "failed": "red", "upstream_failed": "red", "up_for_retry": "yellow"}


@dataclass(frozen=True)
class TaskView:
    """What is shown of one task.

    Attributes:
        dag: Its DAG.
        task: The task as it is now.
        line: The last progress line of its job, without the prefix; empty when there is none yet.
    """

    dag: str
    task: Task
    line: str


class Display(Protocol):
    """Shows how far things are."""

    def say(self, text: str) -> None:
        """Shows a line that stays."""

    def show(self, views: list[TaskView]) -> None:
        """Shows the tasks of the current run as they are now."""

    def __enter__(self) -> "Display":
        """Takes the terminal."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives it back."""


@dataclass
class PlainDisplay:
    """One line for each change, with the seconds since the start: for logs and pipes.

    Attributes:
        write: Takes each line.
        clock: Gives the time in seconds; replaced in tests.
    """

    write: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _shown: dict[tuple[str, str], TaskView] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def __enter__(self) -> "PlainDisplay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Has nothing to give back."""

    def say(self, text: str) -> None:
        """Writes a line."""
        self.write(f"[{self.clock() - self._began:6.1f} s] {text}")

    def show(self, views: list[TaskView]) -> None:
        """Writes what differs from the last time."""
        for view in views:
            before = self._shown.get((view.dag, view.task.name))
            name = f"{view.dag}.{view.task.name}"
            if view.line and (before is None or before.line != view.line):
                self.say(f"{name}: {view.line}")
            if (before is None or before.task.state != view.task.state) and view.task.state != "none":
                took = f" after {view.task.seconds:.1f} s" if view.task.ended and view.task.seconds else ""
                self.say(f"{name} {view.task.state}{took}")
            self._shown[view.dag, view.task.name] = view


class LiveDisplay:
    """A table that is redrawn in place: for people."""

    def __init__(self, console: Console) -> None:
        """Takes the terminal."""
        self._console = console
        self._live = Live(console=console, refresh_per_second=4)
        self._views: dict[tuple[str, str], TaskView] = {}
        self._began = time.monotonic()

    def __enter__(self) -> "LiveDisplay":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the last table on the screen."""
        self._live.stop()

    def say(self, text: str) -> None:
        """Writes a line above the table."""
        self._console.print(f"[dim]{time.monotonic() - self._began:6.1f} s[/dim]  {text}", highlight=False)

    def show(self, views: list[TaskView]) -> None:
        """Redraws the table; runs that have ended stay in it."""
        for view in views:
            self._views[view.dag, view.task.name] = view
        table = Table(box=None, pad_edge=False, expand=True)
        for title, ratio in (("task", 2), ("state", 1), ("seconds", 1), ("progress", 5)):
            table.add_column(title, ratio=ratio, no_wrap=True, justify="right" if title == "seconds" else "left")
        for view in self._views.values():
            colour = _COLOURS.get(view.task.state, "white")
            seconds = "" if view.task.seconds is None else f"{view.task.seconds:.1f}"
            state = "" if view.task.state == "none" else view.task.state
            table.add_row(f"{view.dag}.{view.task.name}", f"[{colour}]{state}[/]", seconds, view.line)
        self._live.update(table)


def open_display(console: Console) -> Display:
    """Chooses the display that suits where the output goes."""
    if console.is_terminal:
        return LiveDisplay(console)
    return PlainDisplay(lambda line: print(line, flush=True))


def last_progress(log: list[str]) -> str:
    """The last progress line of a log, without its prefix; empty when there is none."""
    for line in reversed(log):
        if line.strip().startswith(PROGRESS):
            return line.strip().removeprefix(PROGRESS).strip()
    return ""
