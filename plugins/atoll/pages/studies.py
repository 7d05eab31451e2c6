"""Pages of studies: which there are, and the leaderboard of one with its charts, live while it runs."""

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from atoll.pages import access, study_charts
from atoll.pages.charts import Chart
from atoll.pages.rendering import page
from jobs.errors import AtollError
from jobs.tuning.importance import importance, varied
from jobs.tuning.leaderboard import INTERVAL, Leaderboard, read_leaderboard
from jobs.workspace import Workspace

router = APIRouter(prefix="/studies", dependencies=[access.SEES_MODELS])

_LISTED, _ROWS = 50, 200
_SILENT = 15 * 60
"""Seconds without a change after which an unfinished study is not taken for a running one any more."""

_FILE = "leaderboard.json"
_REPORT = Path("report") / "report.html"


@dataclass(frozen=True)
class SeenStudy:
    """A study as it lies on the disk.

    Attributes:
        name: Name of the study.
        board: Its leaderboard.
        changed: When that was written last, in seconds since 1970.
        finished: Whether its report is as new, which is written last.
    """

    name: str
    board: Leaderboard
    changed: float
    finished: bool

    @property
    def running(self) -> bool:
        """Whether a driver seems to be at work."""
        return not self.finished and time.time() - self.changed < _SILENT

    def count(self, state: str) -> int:
        """Counts the trials in a state."""
        return sum(trial.state == state for trial in self.board.trials)


@router.get("", name="studies")
def show_studies(request: Request) -> Response:
    """The studies, the one that has changed last first."""
    folders = sorted(
        (path.parent for path in (Workspace.open().root / "studies").glob(f"*/{_FILE}")),
        key=lambda folder: -(folder / _FILE).stat().st_mtime,
    )
    found = [study for folder in folders[:_LISTED] if (study := _if_readable(folder)) is not None]
    return page(
        request,
        "studies.html",
        title="Studies",
        studies=found,
        more=max(0, len(folders) - _LISTED),
        live=INTERVAL if any(study.running for study in found) else None,
    )


@router.get("/{study}", name="study")
def show_study(
    request: Request, study: str, across: str = "learning_rate", colour: str = "neurons", every: bool = False
) -> Response:
    """The leaderboard of a study and its charts."""
    seen = _read(Workspace.open().study(study))
    board = seen.board
    names = varied(board) or ["learning_rate"]
    across = across if across in names else names[0]
    colour = colour if colour in names and colour != across else next((name for name in names if name != across), "")
    ranked = board.ranked()
    return page(
        request,
        "study.html",
        title=study,
        study=seen,
        best=board.best(),
        default=board.default(),
        names=names,
        across=across,
        colour=colour,
        charts=_charts(seen, across, colour),
        rows=ranked if every else ranked[:_ROWS],
        hidden=0 if every else max(0, len(ranked) - _ROWS),
        repeats=_repeats(board),
        live=INTERVAL if seen.running else None,
    )


def _charts(seen: SeenStudy, across: str, colour: str) -> list[Chart]:
    board = seen.board
    found: list[Chart] = []
    if any(trial.validation_accuracy is not None for trial in board.trials):
        found.append(study_charts.error_against(board, across, colour or None))
        found.append(study_charts.learning_curves(board))
        if len(varied(board)) > 1:
            found.append(study_charts.parallel_coordinates(board))
    if board.trials:
        found.append(study_charts.executors(board))
    if seen.finished and (shares := _importance(seen.name, seen.changed, board)):
        found.append(study_charts.importances(shares))
    return found


_shares: dict[tuple[str, float], dict[str, float]] = {}


def _importance(name: str, changed: float, board: Leaderboard) -> dict[str, float]:
    """Estimates importances once for each state of a finished study: it takes seconds for a large one."""
    if (name, changed) not in _shares:
        while len(_shares) > _LISTED:
            _shares.pop(next(iter(_shares)), None)
        _shares[name, changed] = importance(board)
    return _shares[name, changed]


def _repeats(board: Leaderboard) -> dict[int, list[float]]:
    """Gives the error with each seed, as a share of 1, of the trials that were repeated."""
    numbers = {repeat.number for repeat in board.repeats}
    return {one.number: [1 - score for score in board.over_seeds(one)] for one in board.trials if one.number in numbers}


def _read(folder: Path) -> SeenStudy:
    """Reads a study.

    Raises:
        InvalidStudyError: It has no leaderboard, or one that cannot be read.
    """
    path, report = folder / _FILE, folder / _REPORT
    changed = path.stat().st_mtime if path.exists() else 0.0
    finished = report.exists() and report.stat().st_mtime >= changed
    return SeenStudy(folder.name, _parse(folder, changed), changed, finished)


@lru_cache(maxsize=_LISTED + 14)
def _parse(folder: Path, changed: float) -> Leaderboard:  # a changed file is another entry
    return read_leaderboard(folder)


def _if_readable(folder: Path) -> SeenStudy | None:
    try:
        return _read(folder)
    except AtollError:
        return None
