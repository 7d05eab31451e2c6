"""Staging a run in an object store: where its tasks write, and how what they wrote is joined and checked."""

import sys
import tempfile
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from jobs import object_store
from jobs.errors import AlreadyRunningError, AtollError, InvalidArgumentError
from jobs.labelling.counts import Counts, count_features, count_rows
from jobs.labelling.object_destination import ObjectDestination, Pointer
from jobs.labelling.object_switch import Sealed, remove, renew_copies, switch, write_sealed
from jobs.labelling.part_files import join_parts
from jobs.labelling.partition import PartFiles
from jobs.labelling.schema import FEATURES, LABELS, QUARANTINE, with_carried
from jobs.object_place import ObjectPlace

_THREADS = 8


@dataclass(frozen=True)
class StagedObjects:
    """A run that is at work: two prefixes that readers do not know of, filled by the executors.

    Attributes:
        destination: Where it is to be published.
        run: Identifies it.
        base: Version of the pointer when it began; None where there was none.
    """

    destination: ObjectDestination
    run: str
    base: str | None

    @classmethod
    def begin(cls, destination: ObjectDestination) -> "StagedObjects":
        """Completes what an interrupted run left, and makes room for a new one.

        Raises:
            InvalidArgumentError: The store cannot be written, or knows no writes with a condition.
        """
        found = destination.published()
        if found:
            renew_copies(destination, found.pointer)
        run = uuid.uuid4().hex[:12]
        _check_conditions(destination.run(run) / "begun")
        return cls(destination, run, found.version if found else None)

    @property
    def labels(self) -> ObjectPlace:
        """Where the tasks write labels, or features."""
        return self.destination.run(self.run) / "tasks" / "labels"

    @property
    def quarantine(self) -> ObjectPlace:
        """Where the tasks write quarantine."""
        return self.destination.run(self.run) / "tasks" / "quarantine"

    def publish(self, parts: Sequence[PartFiles], listed: Iterable[str], carried: pa.Schema) -> Counts:
        """Joins what was staged, checks it, and publishes it.

        Args:
            parts: The files of the tasks that finished; all other files are dropped.
            listed: Every image of the set, as its row names it.
            carried: The columns that are carried through from a list.

        Raises:
            AlreadyRunningError: Another run was published since this one began.
            PublishError: An image is missing or doubled; nothing has changed.
        """
        counts, sealed = self._seal(parts, listed, carried)
        switch(self.destination, sealed)
        return counts

    def seal(self, parts: Sequence[PartFiles], listed: Iterable[str], carried: pa.Schema) -> Counts:
        """Joins what was staged into one file of labels and one of quarantine, and checks them; nothing is published yet.

        Raises:
            AlreadyRunningError: Another run was published since this one began, and has removed what was staged.
            PublishError: An image is missing or doubled.
        """
        return self._seal(parts, listed, carried)[0]

    def abandon(self) -> None:
        """Removes what is staged, unless it is published already; where it cannot, the next run does."""
        with suppress(AtollError):
            found = self.destination.published()
            if found is None or found.pointer.run != self.run:
                remove([self.destination.run(self.run)])

    def _seal(self, parts: Sequence[PartFiles], listed: Iterable[str], carried: pa.Schema) -> tuple[Counts, Sealed]:
        features = self.destination.features
        run = self.destination.run(self.run)
        with tempfile.TemporaryDirectory(prefix="atoll-rows-") as folder:
            schema = with_carried(FEATURES if features else LABELS, carried)
            labels = self._joined(Path(folder), self.labels, [part.labels for part in parts], schema)
            schema = with_carried(QUARANTINE, carried)
            quarantine = self._joined(Path(folder), self.quarantine, [part.quarantine for part in parts], schema)
            counts = (count_features if features else count_rows)([labels], [quarantine], listed)
            kept = run / "labels" / labels.name, run / "quarantine" / quarantine.name
            for file, place in zip((labels, quarantine), kept, strict=True):
                object_store.upload(file, place)
        pointer = Pointer(
            run=self.run,
            kind="features" if features else "labels",
            published_at=datetime.now(UTC),
            labels=(kept[0].below(self.destination.base),),
            quarantine=(kept[1].below(self.destination.base),),
        )
        sealed = Sealed(base=self.base, pointer=pointer)
        write_sealed(self.destination, sealed)
        remove([run / "tasks"])
        return counts, sealed

    def _joined(self, scratch: Path, staged: ObjectPlace, written: Sequence[str | None], schema: pa.Schema) -> Path:
        """Fetches the tasks' files, and joins them into one: a copy of one object is made in one step."""
        folder, names = scratch / staged.name, [name for name in written if name]
        folder.mkdir()
        with ThreadPoolExecutor(_THREADS) as threads:
            there = list(threads.map(lambda name: object_store.download(staged / name, folder / name), names))
        if not all(there):
            raise AlreadyRunningError(
                f"{self.destination.labels}: another run was published since this run began, which removes what others have "
                "staged; nothing was published"
            )
        (joined,) = join_parts(folder, names, schema, self.run, large_enough=sys.maxsize)
        return joined


def _check_conditions(probe: ObjectPlace) -> None:
    """Asks for writes that must be refused: a store that knows no conditions would let two runs win."""
    object_store.write(probe, b"")
    if any(object_store.write_if_unchanged(probe, b"", version) for version in (None, '"another"')):
        raise InvalidArgumentError(
            f"s3://{probe.bucket}: knows no writes with a condition (If-Match, If-None-Match); accepted: a store that does, "
            "such as Amazon S3"
        )
