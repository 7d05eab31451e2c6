"""Where labels and quarantine go in an object store, and the pointer that says which run readers see.

- `labels/<name>/_published/ds=DAY.json`: the pointer, one small object
- `labels/<name>/_runs/ds=DAY/<run>/`: what a run has written; its files are never changed
- `labels/<name>/ds=DAY/part-00000.parquet`, and the same below `quarantine/`: copies for readers that know of no pointer
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from jobs import object_store
from jobs.errors import InvalidArgumentError, InvalidImageSetError
from jobs.object_place import ObjectPlace
from jobs.workspace import Workspace

_DAY = re.compile(r"ds=(\d{4}-\d{2}-\d{2})\.json")

COPY = "part-00000.parquet"
"""The only object that a reader without the pointer finds in a day's folder."""


class Pointer(BaseModel):
    """What the pointer holds: which files are the day.

    Attributes:
        run: That wrote them.
        kind: Whether they hold labels or features.
        published_at: When they were published.
        labels: The files of labels, or of features, relative to the folder that holds `_published`.
        quarantine: Those of quarantine.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    kind: Literal["labels", "features"]
    published_at: datetime
    labels: tuple[str, ...]
    quarantine: tuple[str, ...]


@dataclass(frozen=True)
class ReadPointer:
    """A pointer, and the version of its object."""

    pointer: Pointer
    version: str


@dataclass(frozen=True)
class ObjectDestination:
    """The place that one run publishes into.

    Attributes:
        labels: Folder of labels, or of features, for readers that know of no pointer.
        quarantine: The same for quarantine.
        base: What the pointer's names are relative to.
        pointer: Says which run readers see.
        runs: Holds a folder for each run.
        result: Where `result.json` is left; None in the workspace, where Airflow says where.
        features: Whether features are published instead of labels.
    """

    labels: ObjectPlace
    quarantine: ObjectPlace
    base: ObjectPlace
    pointer: ObjectPlace
    runs: ObjectPlace
    result: ObjectPlace | None
    features: bool = False

    @classmethod
    def in_folder(cls, folder: ObjectPlace, features: bool = False) -> "ObjectDestination":
        """Publishes into one prefix of the user's choice."""
        rows = folder / ("features" if features else "labels")
        pointer = folder / "_published" / "day.json"
        return cls(rows, folder / "quarantine", folder, pointer, folder / "_runs", folder / "result.json", features)

    @classmethod
    def of_day(cls, workspace: Workspace, name: str, day: date) -> "ObjectDestination":
        """Publishes one day of an image set under its name."""
        labels, quarantine = workspace.labels(name, day), workspace.quarantine(name, day)
        if not isinstance(labels, ObjectPlace) or not isinstance(quarantine, ObjectPlace):
            raise InvalidArgumentError(f"{labels}: a folder; accepted: a workspace whose days lie in an object store")
        base = labels.parent
        pointer = base / "_published" / f"{labels.name}.json"
        return cls(labels, quarantine, base, pointer, base / "_runs" / labels.name, None)

    def published(self) -> ReadPointer | None:
        """Reads the pointer; None where nothing is published.

        Raises:
            InvalidImageSetError: What lies there is no pointer.
        """
        found = object_store.read(self.pointer)
        if found is None:
            return None
        try:
            return ReadPointer(Pointer.model_validate_json(found.content), found.version)
        except ValidationError:
            raise InvalidImageSetError(
                f"{self.pointer}: is not what label_images writes; accepted: deleting it, and labelling again"
            ) from None

    def run(self, run: str) -> ObjectPlace:
        """Gives the folder of a run."""
        return self.runs / run

    def copies_of(self, kind: str) -> ObjectPlace:
        """Gives the folder for readers without the pointer: one prefix of the user's choice may get labels and features."""
        return self.base / kind if self.result else self.labels

    def places(self, names: Iterable[str]) -> list[ObjectPlace]:
        """Gives the objects that a pointer names."""
        return [self.base / name for name in names]


def published_days(image_set: ObjectPlace) -> list[date]:
    """Lists the days of an image set that are published, in order; `image_set` is its folder of labels."""
    names = (found.place.name for found in object_store.listing(image_set / "_published"))
    return [date.fromisoformat(match[1]) for name in names if (match := _DAY.fullmatch(name))]
