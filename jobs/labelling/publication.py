"""How one run is staged, checked and published: alike for a folder and for an object store."""

import logging
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import pyarrow as pa

from jobs import object_store
from jobs.errors import PublishError
from jobs.labelling import publish
from jobs.labelling.counts import Counts
from jobs.labelling.destination import Destination
from jobs.labelling.object_destination import ObjectDestination
from jobs.labelling.object_staging import StagedObjects
from jobs.labelling.object_switch import publish_sealed, read_sealed
from jobs.labelling.partition import PartFiles
from jobs.labelling.row_files import RowFiles
from jobs.object_place import ObjectPlace, Place
from jobs.results import LabelledImageSet, LabellingPlan, Result
from jobs.workspace import Workspace

log = logging.getLogger("atoll")

AnyDestination = Destination | ObjectDestination


class StagedRun(Protocol):
    """A run that is at work; the executors write where it says."""

    @property
    def run(self) -> str:
        """Identifies it."""

    @property
    def labels(self) -> Place:
        """Where the tasks write labels, or features."""

    @property
    def quarantine(self) -> Place:
        """Where the tasks write quarantine."""

    def publish(self, parts: Sequence[PartFiles], listed: Iterable[str], carried: pa.Schema) -> Counts:
        """Joins what was staged, checks it, and publishes it."""

    def seal(self, parts: Sequence[PartFiles], listed: Iterable[str], carried: pa.Schema) -> Counts:
        """Joins what was staged and checks it; nothing is published yet."""

    def abandon(self) -> None:
        """Removes what is staged, unless it is decided that it is published."""


class Publication(Protocol):
    """The way to publish into one destination."""

    def locked(self) -> AbstractContextManager[None]:
        """Keeps other drivers off, where a lock is needed."""

    def stage(self) -> StagedRun:
        """Completes or removes what an interrupted run left, and makes room for a new one."""

    def publish_staged(self, run: str) -> None:
        """Publishes what an earlier step has staged and sealed; may be repeated."""

    def staged_rows(self, run: str) -> tuple[RowFiles, RowFiles]:
        """Gives labels and quarantine of a run that is sealed.

        Raises:
            PublishError: They are gone.
        """

    def leave(self, result: Result) -> None:
        """Writes `result.json` beside what was published, where the user chose the place."""


@dataclass(frozen=True)
class StagedFolders:
    """A run that fills two hidden folders; `jobs.labelling.publish` says how it is published."""

    destination: Destination
    staged: publish.Staged

    @property
    def run(self) -> str:
        """Identifies it."""
        return self.staged.run

    @property
    def labels(self) -> Place:
        """The hidden folder of labels, or of features."""
        return self.staged.labels

    @property
    def quarantine(self) -> Place:
        """The hidden folder of quarantine."""
        return self.staged.quarantine

    def publish(self, parts: Sequence[PartFiles], listed: Iterable[str], carried: pa.Schema) -> Counts:
        """Joins what was staged, checks it, and swaps it in."""
        return publish.publish(self.destination, self.staged, parts, listed, carried)

    def seal(self, parts: Sequence[PartFiles], listed: Iterable[str], carried: pa.Schema) -> Counts:
        """Joins what was staged and checks it."""
        return publish.seal(self.staged, parts, listed, carried)

    def abandon(self) -> None:
        """Removes both folders, unless the journal is written: then the next run completes it."""
        if not self.destination.journal.exists():
            publish.discard(self.destination)


@dataclass(frozen=True)
class FolderPublication:
    """Publishes into a folder that this machine mounts."""

    destination: Destination

    def locked(self) -> AbstractContextManager[None]:
        """Keeps other drivers off; the kernel frees the lock."""
        return self.destination.locked()

    def stage(self) -> StagedFolders:
        """Makes two hidden folders, and leaves none where it fails."""
        try:
            return StagedFolders(self.destination, publish.stage(self.destination))
        except BaseException:
            if not self.destination.journal.exists():
                publish.discard(self.destination)
            raise

    def publish_staged(self, run: str) -> None:
        """Swaps in what an earlier step has staged and sealed."""
        publish.publish_staged(self.destination, run)

    def staged_rows(self, run: str) -> tuple[RowFiles, RowFiles]:
        """Gives labels and quarantine of a run that is sealed.

        Raises:
            PublishError: They are gone.
        """
        labels, quarantine = publish.staged_folders(self.destination, run)
        try:
            return RowFiles.in_folder(labels), RowFiles.in_folder(quarantine)
        except FileNotFoundError:
            raise PublishError(f"{labels}: what was staged is gone; clear label_images") from None

    def leave(self, result: Result) -> None:
        """Writes `result.json` beside the folders, if the user chose them."""
        if self.destination.result:
            result.write(self.destination.result)


@dataclass(frozen=True)
class ObjectPublication:
    """Publishes into an object store; `jobs.labelling.object_switch` says how."""

    destination: ObjectDestination

    def locked(self) -> AbstractContextManager[None]:
        """Keeps nobody off: the pointer's condition decides between two runs."""
        return nullcontext()

    def stage(self) -> StagedObjects:
        """Makes room for a run."""
        return StagedObjects.begin(self.destination)

    def publish_staged(self, run: str) -> None:
        """Lets the pointer name what an earlier step has staged and sealed."""
        publish_sealed(self.destination, run)

    def staged_rows(self, run: str) -> tuple[RowFiles, RowFiles]:
        """Gives labels and quarantine of a run that is sealed.

        Raises:
            PublishError: They are gone.
        """
        pointer = read_sealed(self.destination, run).pointer
        labels, quarantine = (self.destination.places(names) for names in (pointer.labels, pointer.quarantine))
        return RowFiles.in_store(labels, run), RowFiles.in_store(quarantine, run)

    def leave(self, result: Result) -> None:
        """Writes `result.json` beside the prefixes, if the user chose them."""
        if self.destination.result:
            object_store.write(self.destination.result, result.as_json().encode())


def publication_into(destination: AnyDestination) -> Publication:
    """Gives the way to publish into a destination."""
    if isinstance(destination, ObjectDestination):
        return ObjectPublication(destination)
    return FolderPublication(destination)


def publication_of_day(workspace: Workspace, name: str, day: date) -> Publication:
    """Gives the way to publish one day of an image set under its name."""
    return publication_into(destination_of_day(workspace, name, day))


def destination_of_day(workspace: Workspace, name: str, day: date) -> AnyDestination:
    """Gives where one day of an image set is published under its name."""
    if isinstance(workspace.labels(name, day), ObjectPlace):
        return ObjectDestination.of_day(workspace, name, day)
    return Destination.of_day(workspace, name, day)


def published_run(workspace: Workspace, name: str, day: date) -> str | None:
    """Names the run that has made a day which readers see; None where there is none, or no run is named."""
    destination = destination_of_day(workspace, name, day)
    if isinstance(destination, Destination):
        return publish.published_by(destination)[0]
    found = destination.published()
    return found.pointer.run if found else None


def publish_day(plan: LabellingPlan, labelled: LabelledImageSet, workspace: Workspace) -> None:
    """Publishes a day that an earlier step has staged; may be repeated.

    Raises:
        AlreadyRunningError: A driver labels this day now.
        PublishError: What was staged is gone.
    """
    publication = publication_of_day(workspace, plan.published_as, plan.day)
    with publication.locked():
        publication.publish_staged(labelled.staged or "")
    place = workspace.labels(plan.published_as, plan.day)
    log.info("published %s: %d labelled, %d in quarantine", place, labelled.labelled, labelled.quarantined)
