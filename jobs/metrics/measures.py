"""The figures of now, read from what lies there: a night that did not run shows as one that grows old, not as silence."""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from pydantic import ValidationError

from jobs.errors import InvalidStudyError
from jobs.labelling.publication import published_run
from jobs.labelling.reading import image_sets
from jobs.labelling.row_files import KINDS, published_rows
from jobs.registry.catalogue import RegisteredModel, registered_models
from jobs.results import LabelledImageSet
from jobs.tuning.leaderboard import Leaderboard, read_leaderboard
from jobs.workspace import Workspace

UNITS = {
    "atoll.study.trials": "trials",
    "atoll.study.best_validation_accuracy": "share of 1",
    "atoll.study.age": "seconds",
    "atoll.day.images": "images",
    "atoll.day.speed": "images/s",
    "atoll.day.age": "seconds",
    "atoll.gate.decisions": "versions",
    "atoll.champion.version": "version",
}
"""Every metric with its unit; all are gauges."""

_STUDIES, _RUNS = 50, 200
"""How many of the newest are looked at for the newest of each experiment, and for the run that made a day."""

_RUN_OF_A_DAY = "label_images/*/label_images/result.json"


@dataclass(frozen=True)
class Measure:
    """One figure.

    Attributes:
        name: A key of `UNITS`.
        value: In that unit.
        tags: What it is about.
    """

    name: str
    value: float
    tags: dict[str, str] = field(default_factory=dict)


def measures(workspace: Workspace, now: datetime) -> Iterator[Measure]:
    """Gives every figure; those of the registry last, since it may not answer.

    Args:
        workspace: What to look at.
        now: With a time zone; ages are reckoned from it.

    Raises:
        ServiceUnavailableError: MLflow cannot be reached.
    """
    yield from study_measures(workspace, now)
    yield from day_measures(workspace, now)
    for model in registered_models(workspace):
        yield from model_measures(model)


def study_measures(workspace: Workspace, now: datetime) -> Iterator[Measure]:
    """Looks at the newest study of each experiment, which may still be running."""
    seen: set[str] = set()
    for path in _newest((workspace.root / "studies").glob("*/leaderboard.json"), _STUDIES):
        try:
            board, changed = read_leaderboard(path.parent), path.stat().st_mtime
        except (InvalidStudyError, FileNotFoundError):  # of another version, or removed meanwhile
            continue
        if board.experiment.name not in seen:
            seen.add(board.experiment.name)
            yield from _of_study(board, now.timestamp() - changed)


def day_measures(workspace: Workspace, now: datetime) -> Iterator[Measure]:
    """Looks at the newest labelled day of each image set."""
    for name, days in image_sets(workspace).items():
        if days:
            yield from _of_day(workspace, name, days[0], now)


def model_measures(model: RegisteredModel) -> Iterator[Measure]:
    """Counts what the gate decided about the versions of a model, and says which one labels."""
    about = {"model": model.name}
    decided = Counter("passed" if one.decision.passed else "refused" for one in model.versions if one.decision)
    for verdict in ("passed", "refused"):
        yield Measure("atoll.gate.decisions", decided[verdict], about | {"verdict": verdict})
    if model.champion:
        yield Measure("atoll.champion.version", model.champion.version, about)


def _of_study(board: Leaderboard, age: float) -> Iterator[Measure]:
    about = {"experiment": board.experiment.name}
    states = Counter(trial.state for trial in board.trials)
    for state in ("complete", "paused", "failed"):
        yield Measure("atoll.study.trials", states[state], about | {"state": state})
    best = board.best()
    if best is not None and best.validation_accuracy is not None:
        yield Measure("atoll.study.best_validation_accuracy", best.validation_accuracy, about)
    yield Measure("atoll.study.age", max(0.0, age), about)


def _of_day(workspace: Workspace, name: str, day: date, now: datetime) -> Iterator[Measure]:
    about = {"image_set": name}
    ended = datetime.combine(day, time(), UTC) + timedelta(days=1)
    yield Measure("atoll.day.age", (now - ended).total_seconds(), about)
    try:
        for outcome, kind in zip(("labelled", "quarantined"), KINDS, strict=True):
            rows = published_rows(workspace, kind, name, day).count()
            yield Measure("atoll.day.images", rows, about | {"outcome": outcome})
    except FileNotFoundError:  # published anew meanwhile; the next look sees the new day
        return
    speed = _speed(workspace, published_run(workspace, name, day))
    if speed:
        yield Measure("atoll.day.speed", speed, about)


def _speed(workspace: Workspace, run: str | None) -> float | None:
    """Finds how fast the run was that made a day; None for one outside of Airflow, or one that housekeeping has removed."""
    for path in _newest((workspace.root / "runs").glob(_RUN_OF_A_DAY), _RUNS):
        try:
            result = LabelledImageSet.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
        if run is not None and result.staged == run:
            return result.images_per_second
    return None


def _newest(paths: Iterator[Path], most: int) -> list[Path]:
    """Gives the paths that were changed last, newest first."""

    def changed(path: Path) -> tuple[float, str]:
        try:
            return path.stat().st_mtime, str(path)
        except FileNotFoundError:
            return 0.0, str(path)

    return heapq.nlargest(most, paths, key=changed)
