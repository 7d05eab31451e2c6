"""Publishing in an object store, which renames nothing: what a run writes is never changed, and one pointer names the run.

The pointer is written on the condition that it is still as it was when the run began (If-Match and If-None-Match, RFC 9110,
section 13.1; what databases call optimistic concurrency control: Kung and Robinson, 1981). Of two runs of one day the first
to end is published, and the other is told. So no lock is needed, which nobody would free for a driver that was killed.

What lies there of others before the pointer is written was begun before that. It can no longer be published after it, and is
removed then.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import BaseModel

from jobs import object_store
from jobs.errors import AlreadyRunningError, PublishError
from jobs.labelling.object_destination import COPY, ObjectDestination, Pointer
from jobs.object_place import ObjectPlace

_SEALED = "sealed.json"
_RUN = "run"
"""The note of a copy that says which run it is of."""


class Sealed(BaseModel):
    """What a run leaves when it is complete and checked: all that is needed to publish it.

    Attributes:
        base: Version of the pointer when the run began; None where there was none.
        pointer: What it is to become.
    """

    base: str | None
    pointer: Pointer


def write_sealed(destination: ObjectDestination, sealed: Sealed) -> None:
    """Leaves it for a later step."""
    place = destination.run(sealed.pointer.run) / _SEALED
    object_store.write(place, sealed.model_dump_json().encode())


def read_sealed(destination: ObjectDestination, run: str) -> Sealed:
    """Reads what a run has left.

    Raises:
        PublishError: It is gone.
    """
    found = object_store.read(destination.run(run) / _SEALED) if run else None
    if found is None:
        raise PublishError(
            f"{destination.labels}: what run {run} has staged is gone, as when the day was labelled again since; "
            "nothing was published; clear label_images"
        )
    return Sealed.model_validate_json(found.content)


def switch(destination: ObjectDestination, sealed: Sealed) -> None:
    """Publishes a run by the one write that readers see, and removes what nobody sees any more.

    Raises:
        AlreadyRunningError: Another run was published since this one began.
    """
    run = sealed.pointer.run
    others = [destination.run(name) for name in object_store.folders(destination.runs) if name != run]
    pointer = sealed.pointer.model_copy(update={"published_at": datetime.now(UTC)})
    content = pointer.model_dump_json(indent=2).encode()
    if not object_store.write_if_unchanged(destination.pointer, content, sealed.base):
        found = destination.published()
        if found is None or found.pointer.run != run:  # else it was written, and the answer was lost
            what = f"run {found.pointer.run} was published" if found else "the day was removed"
            raise AlreadyRunningError(f"{destination.labels}: {what} since this run began; nothing was published")
    renew_copies(destination, pointer)
    remove(others)


def publish_sealed(destination: ObjectDestination, run: str) -> None:
    """Publishes what an earlier step has sealed; may be repeated.

    Raises:
        PublishError: It is gone, or another run was published since it began.
    """
    found = destination.published()
    if found and found.pointer.run == run:
        renew_copies(destination, found.pointer)
        return
    try:
        switch(destination, read_sealed(destination, run))
    except AlreadyRunningError as error:
        raise PublishError(f"{error}; clear label_images") from None


def renew_copies(destination: ObjectDestination, pointer: Pointer) -> None:
    """Brings the copies for readers without the pointer up to it, even where another run does the same now."""
    while True:
        rows = destination.copies_of(pointer.kind)
        for names, folder in ((pointer.labels, rows), (pointer.quarantine, destination.quarantine)):
            (place,) = destination.places(names)
            if (object_store.notes_of(folder / COPY) or {}).get(_RUN) != pointer.run:
                object_store.copy(place, folder / COPY, {_RUN: pointer.run})
        now = destination.published()
        if now is None or now.pointer.run == pointer.run:
            return
        pointer = now.pointer


def remove(prefixes: Iterable[ObjectPlace]) -> None:
    """Removes all objects below some prefixes."""
    for prefix in prefixes:
        object_store.delete(found.place for found in object_store.listing(prefix))
