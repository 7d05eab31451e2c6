"""A folder of images, local or at any URL that fsspec knows, with its subfolders."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from fsspec.spec import glob_translate

from jobs.errors import InvalidImageSetError
from jobs.labelling.fetching.settings import FetchSettings
from jobs.labelling.sources.file_reading import FileReading
from jobs.labelling.sources.image_list import LIST_NAMES, ListOfImages
from jobs.labelling.sources.image_set import ImageSet, listed
from jobs.labelling.sources.place import open_for_user

_ACCEPTED = "a readable folder of images"


@dataclass(frozen=True)
class FolderOfImages:
    """The files of a folder and its subfolders; names that start with `.` or `_` are skipped, as Spark does.

    Attributes:
        folder: A path, or a URL such as `s3a://bucket/images`.
        patterns: Shell patterns of which a file must match one; none to take all. A pattern without `/` is about the file's
            name in any subfolder; one with `/` about its path in the folder, where `**` stands for any subfolders.
        fetch: How URLs are fetched, should the folder hold a list of them.
        may_hold_list: Whether a folder whose only file is named `images.txt`, `.csv` or `.parquet` stands for that list.
    """

    folder: str
    patterns: tuple[str, ...] = ()
    fetch: FetchSettings = field(default_factory=FetchSettings)
    may_hold_list: bool = False

    def __str__(self) -> str:
        return self.folder

    def load(self) -> ImageSet:
        """Lists the images by their paths relative to the folder, sorted.

        Raises:
            InvalidImageSetError: There is no such folder, no file in it is asked for, or its protocol is not supported.
        """
        files, root = open_for_user(self.folder, "a folder of images")
        root = root.rstrip("/") or "/"
        try:
            if not files.isdir(root):
                what = "is a file" if files.exists(root) else "does not exist"
                raise InvalidImageSetError(f"{self.folder}: {what}; accepted: a folder of images")
            prefix = len(root.rstrip("/")) + 1
            names = sorted(path[prefix:] for path in files.find(root))
        except OSError as error:
            raise InvalidImageSetError(f"{self.folder}: {error.strerror or error}; accepted: {_ACCEPTED}") from None
        visible = [name for name in names if not any(part.startswith((".", "_")) for part in name.split("/"))]
        if not visible:
            raise InvalidImageSetError(f"{self.folder}: holds no file; accepted: a folder of images")
        if self.may_hold_list and len(visible) == 1 and visible[0] in LIST_NAMES:
            return ListOfImages(f"{self.folder.rstrip('/')}/{visible[0]}", None, (), self.fetch).load()
        wanted = list(matching(visible, self.patterns))
        if not wanted:
            raise InvalidImageSetError(
                f"{self.folder}: none of its {len(visible)} files matches {' or '.join(self.patterns)}, such as "
                f"{visible[0]}; accepted: a --pattern that one matches"
            )
        reading = FileReading(_rooted(files, self.folder, root), self.fetch, remote=False)
        return ImageSet(listed(wanted, wanted), reading, reading.smallest_partition)


def matching(names: Iterable[str], patterns: tuple[str, ...]) -> Iterable[str]:
    """Gives the names that match one of the patterns; all where there is none.

    Raises:
        InvalidImageSetError: A pattern is none.
    """
    if not patterns:
        return names
    try:
        whole = [re.compile(glob_translate(pattern)) for pattern in patterns if "/" in pattern]
        last = [re.compile(glob_translate(pattern)) for pattern in patterns if "/" not in pattern]
    except (ValueError, re.error) as error:
        raise InvalidImageSetError(f"--pattern: {error}; accepted: such as '*.jpg' or 'cats/**/*.jpg'") from None
    return (
        name
        for name in names
        if any(one.match(name) for one in whole) or any(one.match(PurePosixPath(name).name) for one in last)
    )


def _rooted(files: object, folder: str, root: str) -> str:
    """Writes the folder so that executors find it from another working directory."""
    return folder.rstrip("/") if "://" in folder else root
