"""Where everything lies: one folder, reached by every node, named by `ATOLL_HOME`."""

import hashlib
import os
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from jobs.errors import InvalidArgumentError
from jobs.object_place import ObjectPlace, Place, is_object_url

REPOSITORY = Path(__file__).resolve().parent.parent

DAYS = "ATOLL_DAYS"
"""Names the place in an object store where the days lie: image sets, labels and quarantine."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")

_RUN = re.compile(r"([A-Za-z0-9._-]|T\d\d:\d\d:\d\d(\.\d+)?\+00:00)+")
"""A run as Airflow calls it, with moments in UTC."""


@dataclass(frozen=True)
class Workspace:
    """The layout of the workspace; it computes paths and touches no file.

    Attributes:
        root: Absolute path of the workspace, on a file system that the driver and every executor mount.
        object_days: Where the days lie, image sets, labels and quarantine, when that is an object store; None where they lie
            in `root` too.
    """

    root: Path
    object_days: ObjectPlace | None = None

    @classmethod
    def open(cls, home: str | None = None) -> "Workspace":
        """Takes the workspace from `home`, else from `ATOLL_HOME`, else `var` in the repository; its days from `ATOLL_DAYS`.

        Raises:
            InvalidArgumentError: The value is a URL of a scheme other than `file`, or names a file or a place below one; or
                `ATOLL_DAYS` is no place in an object store.
        """
        value = home or os.environ.get("ATOLL_HOME") or str(REPOSITORY / "var")
        scheme, separator, path = value.partition("://")
        if separator and scheme != "file":
            raise InvalidArgumentError(
                f"ATOLL_HOME: {value!r} is not a path; accepted: a folder that every node mounts (for example over NFS)"
                + (f"; the days alone may lie in an object store: {DAYS}={value}" if is_object_url(value) else "")
            )
        root = Path(path if separator else value).expanduser().resolve()
        existing = next(place for place in (root, *root.parents) if place.exists())
        if not existing.is_dir():
            raise InvalidArgumentError(f"ATOLL_HOME: {str(existing)!r} is a file; accepted: a folder")
        days = os.environ.get(DAYS)
        return cls(root, ObjectPlace.parse(days, DAYS) if days else None)

    def dataset(self, name: str, fingerprint: str) -> Path:
        """Folder of one prepared data set."""
        return self.root / "datasets" / _checked(name, "data set") / _checked(fingerprint, "fingerprint")

    def image_set(self, name: str, day: date) -> Place:
        """Folder that holds the images of one day."""
        return self._day("image_sets", name, day)

    def labels(self, name: str, day: date) -> Place:
        """Folder of Parquet files with the labels of one day."""
        return self._day("labels", name, day)

    def quarantine(self, name: str, day: date) -> Place:
        """Folder of Parquet files with the images of one day that could not be labelled."""
        return self._day("quarantine", name, day)

    def image_sets(self, kind: str) -> Place:
        """Folder with one folder per image set: of their images (`image_sets`), `labels`, or `quarantine`."""
        return (self.object_days or self.root) / kind

    def _day(self, kind: str, name: str, day: date) -> Place:
        return self.image_sets(kind) / _checked(name, "image set") / f"ds={day.isoformat()}"

    def study(self, study: str) -> Path:
        """Folder of one study: its leaderboard, its trials, its selected model."""
        return self.root / "studies" / _checked(study, "study")

    def run(self, dag: str, run: str, task: str) -> Path:
        """Folder of one task of one DAG run, where it leaves its `result.json`."""
        return self.root / "runs" / dag / file_name(run) / task

    @property
    def artifacts(self) -> Path:
        """Folder in which MLflow keeps its artifacts when it has no server of its own for them."""
        return self.root / "mlflow"


def file_name(text: str) -> str:
    """Turns any text, such as a DAG run's identifier, into a name that is safe as a folder.

    What Airflow calls a run is only made safe; whatever else has to change for that also gets a few digits of its hash, so that
    no two runs share a study or a result.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "unnamed"
    if _RUN.fullmatch(text):
        return safe
    return f"{safe}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"


def _checked(name: str, what: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(
            f"{what}: {name!r} cannot name a folder; accepted: letters, digits and . _ + -, starting with a letter or digit"
        )
    return name
