"""Reading images that lie in files or behind URLs."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from jobs.files import open_regular
from jobs.labelling.fetching.fetcher import fetcher_for
from jobs.labelling.fetching.settings import FetchSettings
from jobs.labelling.rejection import ImageRejectedError
from jobs.labelling.sources.image_set import IMAGE, LOCATION, UnreadImage
from jobs.labelling.sources.place import LISTED_PROTOCOLS, open_place, protocol

_WEB = ("http", "https")


@dataclass(frozen=True)
class FileReading:
    """Reads files, local or remote, and http(s) URLs.

    Attributes:
        root: Folder of the locations that are relative paths.
        fetch: How URLs are fetched.
        remote: Whether many images are worth reading at once, since each waits for a network.
    """

    root: str
    fetch: FetchSettings
    remote: bool

    @property
    def at_once(self) -> int | None:
        """As many as the settings say where they wait for a network."""
        return self.fetch.at_once if self.remote or protocol(self.root) not in ("", "file") else None

    @property
    def smallest_partition(self) -> int:
        """More images where each waits for a network: the threads idle while they begin and while the last ones come."""
        return 1024 if self.at_once else 128

    def open(self, images: pa.Table) -> Iterator[UnreadImage]:
        """Gives the images of one partition; nothing is opened before it is read."""
        for row, (name, location) in enumerate(zip(images[IMAGE], images[LOCATION], strict=True)):
            yield UnreadImage(row, name.as_py(), partial(self.read, location.as_py()))

    def read(self, location: bytes, limit: int) -> bytes:
        """Reads one image.

        Raises:
            ImageRejectedError: It is gone or cannot be read, `fetch_failed`, or has more bytes than `limit`, `too_large`.
        """
        if not location:
            raise ImageRejectedError("fetch_failed", "its row names no path or URL")
        place = location.decode("utf-8", "surrogateescape")
        if protocol(place) in _WEB:
            return fetcher_for(self.fetch).fetch(place, limit)
        if protocol(place) and (protocol(place) not in LISTED_PROTOCOLS or "::" in place):
            accepted = ", ".join(sorted({*LISTED_PROTOCOLS, *_WEB}))
            raise ImageRejectedError("fetch_failed", f"protocol {protocol(place)!r}; accepted: {accepted}")
        if not protocol(place) and not place.startswith("/"):
            place = f"{self.root}/{place}"
        return _read_file(place, limit)


def _read_file(place: str, limit: int) -> bytes:
    try:
        files, path = open_place(place)
        near = protocol(place) in ("", "file")
        with open_regular(Path(path)) if near else files.open(path, "rb") as file:
            content: bytes = file.read(limit + 1)
    except OSError as error:
        raise ImageRejectedError("fetch_failed", f"{type(error).__name__}: {error.strerror or error}"[:300]) from None
    except (ValueError, ImportError) as error:  # a path with a zero byte, a protocol whose package is missing
        raise ImageRejectedError("fetch_failed", f"{error}"[:300]) from None
    if len(content) > limit:
        raise ImageRejectedError("too_large", f"more than {limit / 1e6:g} MB")
    return content
