"""Where labels and quarantine go, and the lock that keeps two drivers apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from filelock import FileLock, Timeout

from jobs.errors import AlreadyRunningError, InvalidArgumentError
from jobs.workspace import Workspace


@dataclass(frozen=True)
class Destination:
    """The two folders that one run publishes.

    Attributes:
        labels: Folder of Parquet files, as readers see it; of features where these were asked for.
        quarantine: Folder of Parquet files, as readers see it.
        journal: Hidden file that says which staged folders are to be swapped in.
        lock_file: Hidden file that a driver locks while it works on this destination.
        result: Where `result.json` is left beside the folders; None in the workspace, where Airflow says where.
        features: Whether features are published instead of labels.
    """

    labels: Path
    quarantine: Path
    journal: Path
    lock_file: Path
    result: Path | None
    features: bool = False

    @classmethod
    def in_folder(cls, folder: Path, features: bool = False) -> "Destination":
        """Publishes into one folder of the user's choice."""
        rows, result = folder / ("features" if features else "labels"), folder / "result.json"
        return cls(rows, folder / "quarantine", folder / ".publish.json", folder / ".lock", result, features)

    @classmethod
    def in_workspace(cls, labels: Path, quarantine: Path) -> "Destination":
        """Publishes one day of an image set into the workspace."""
        hidden = labels.with_name(f".{labels.name}")
        return cls(
            labels,
            quarantine,
            hidden.with_name(f"{hidden.name}.publish.json"),
            hidden.with_name(f"{hidden.name}.lock"),
            None,
        )

    @classmethod
    def of_day(cls, workspace: Workspace, name: str, day: date) -> "Destination":
        """Publishes one day of an image set under its name.

        Raises:
            InvalidArgumentError: The days lie in an object store, which is another kind of destination.
        """
        labels, quarantine = workspace.labels(name, day), workspace.quarantine(name, day)
        if not isinstance(labels, Path) or not isinstance(quarantine, Path):
            raise InvalidArgumentError(f"{labels}: no folder; accepted: a workspace whose days lie in a folder")
        return cls.in_workspace(labels, quarantine)

    @property
    def folders(self) -> tuple[Path, Path]:
        """Both folders."""
        return self.labels, self.quarantine

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folders that hold the two, and keeps other drivers off; the kernel frees the lock if this one dies.

        Raises:
            AlreadyRunningError: Another driver labels into this destination.
            InvalidArgumentError: It cannot be written.
        """
        try:
            for folder in (self.labels.parent, self.quarantine.parent):
                folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.lock_file, timeout=0, mode=0o644)
            lock.acquire()
        except Timeout:
            raise AlreadyRunningError(
                f"{self.labels}: another driver is labelling into it; wait until it has ended"
            ) from None
        except OSError as error:
            raise InvalidArgumentError(
                f"{self.labels.parent}: cannot be written ({error.strerror or error}); accepted: a folder to write in"
            ) from None
        try:
            yield
        finally:
            lock.release()
