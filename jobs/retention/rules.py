"""What may go: pure; it is told what is there and what is needed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from jobs.errors import InvalidArgumentError

Kind = Literal["checkpoints", "study", "dataset", "run", "staged"]


@dataclass(frozen=True)
class RetentionRule:
    """For how many days each thing is kept after its last change, at least 1.

    Attributes:
        checkpoints: Weights of trials; what was selected has its frozen graph in the registry.
        studies: Studies from which no version was registered; others are kept, but for their checkpoints.
        datasets: Data sets that no version and no study needs.
        runs: Results of tasks, and days that were staged but never published.
    """

    checkpoints: int = 14
    studies: int = 90
    datasets: int = 90
    runs: int = 30

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise InvalidArgumentError(f"{field.name}: {getattr(self, field.name)} days; accepted: 1 or more")


@dataclass(frozen=True)
class Found:
    """A folder of the workspace.

    Attributes:
        kind: What it is.
        path: Where it is.
        name: Of a study: its name. Of checkpoints: their study's. Of a data set: its fingerprint. Else that of the folder.
        changed: When anything in it was changed last, with a time zone.
        bytes: What it holds.
        dataset: Of a study: the fingerprint of its data set; None where that cannot be read.
        selected: Of a study: whether it holds a selected model, which counts even where the registry does not know of it: it
            may be another registry.
    """

    kind: Kind
    path: Path
    name: str
    changed: datetime
    bytes: int
    dataset: str | None = None
    selected: bool = False


@dataclass(frozen=True)
class Needed:
    """What the registered versions need.

    Attributes:
        studies: Names of the studies that they were selected from.
        datasets: Fingerprints of the data sets that they were trained and tested on.
    """

    studies: frozenset[str]
    datasets: frozenset[str]


@dataclass(frozen=True)
class Removal:
    """Something that may go, and why."""

    found: Found
    why: str


def removable(there: Sequence[Found], needed: Needed, rule: RetentionRule, now: datetime) -> list[Removal]:
    """Chooses what may go; never what a registered version needs, nor a data set of a study that stays.

    Labels, quarantine and image sets are never among it: nothing here knows of them.
    """
    unselected = [one for one in there if one.kind == "study" and not one.selected and one.name not in needed.studies]
    going = [found for found in unselected if _older(found, rule.studies, now)]
    gone = {found.name for found in going}
    removals = [Removal(found, f"no version was registered from it, {_age(found, now)}") for found in going]
    in_use = needed.datasets | _datasets_of(
        found for found in there if found.kind == "study" and found.name not in gone
    )
    for found in there:
        if found.kind == "checkpoints" and found.name not in gone and _older(found, rule.checkpoints, now):
            removals.append(Removal(found, f"checkpoints of a study that is over, {_age(found, now)}"))
        if found.kind == "dataset" and found.name not in in_use and _older(found, rule.datasets, now):
            removals.append(Removal(found, f"no version and no study needs it, {_age(found, now)}"))
        if found.kind == "run" and _older(found, rule.runs, now):
            removals.append(Removal(found, f"result of a task, {_age(found, now)}"))
        if found.kind == "staged" and _older(found, rule.runs, now):
            removals.append(Removal(found, f"staged, but never published, {_age(found, now)}"))
    return removals


def _datasets_of(studies: Iterable[Found]) -> frozenset[str]:
    return frozenset(study.dataset for study in studies if study.dataset is not None)


def _older(found: Found, days: int, now: datetime) -> bool:
    return now - found.changed > timedelta(days=days)


def _age(found: Found, now: datetime) -> str:
    return f"unchanged for {(now - found.changed).days} days"
