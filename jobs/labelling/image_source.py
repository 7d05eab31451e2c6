"""Where images come from: a folder, local or at any URL that fsspec knows."""

from dataclasses import dataclass
from typing import Any

import fsspec

from jobs.errors import InvalidImageSetError
from jobs.labelling.rejection import ImageRejectedError


@dataclass(frozen=True)
class ImageSet:
    """A folder of images.

    Attributes:
        root: The folder as fsspec opens it, with its protocol.
        names: Path of each image relative to the folder, with `/`, sorted.
    """

    root: str
    names: tuple[str, ...]


def list_images(folder: str) -> ImageSet:
    """Lists the files of a folder and its subfolders; names that start with `.` or `_` are skipped, as Spark does.

    Args:
        folder: A path, or a URL such as `s3://bucket/images`.

    Raises:
        InvalidImageSetError: There is no such folder, it holds no file, or its protocol is not supported.
    """
    try:
        files, root = fsspec.core.url_to_fs(folder)
        root = root.rstrip("/") or "/"
        if not files.isdir(root):
            what = "is a file" if files.exists(root) else "does not exist"
            raise InvalidImageSetError(f"{folder}: {what}; accepted: a folder of images")
        prefix = len(root.rstrip("/")) + 1
        names = sorted(path[prefix:] for path in files.find(root))
    except (ValueError, ImportError) as error:  # an unknown protocol, or one whose package is not installed
        raise InvalidImageSetError(f"{folder}: {error}") from None
    except OSError as error:
        raise InvalidImageSetError(
            f"{folder}: {error.strerror or error}; accepted: a readable folder of images"
        ) from None
    visible = tuple(name for name in names if not any(part.startswith((".", "_")) for part in name.split("/")))
    if not visible:
        raise InvalidImageSetError(f"{folder}: holds no file; accepted: a folder of images")
    return ImageSet(str(files.unstrip_protocol(root)), visible)


def printable(name: str) -> str:
    """Writes a name so that Parquet can hold it: bytes that are not UTF-8 become escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class ImageReader:
    """Reads images of one set; safe to call from several threads."""

    def __init__(self, root: str, limit: int) -> None:
        """Prepares to read.

        Args:
            root: `ImageSet.root`.
            limit: How many bytes an image may have.
        """
        self._files, self._root = _open(root)
        self._limit = limit

    def read(self, name: str) -> bytes:
        """Reads one image, and no more than one byte over the limit.

        Raises:
            ImageRejectedError: It is gone or cannot be read: `fetch_failed`.
        """
        try:
            with self._files.open(f"{self._root.rstrip('/')}/{name}", "rb") as file:
                content: bytes = file.read(self._limit + 1)
                return content
        except OSError as error:
            raise ImageRejectedError("fetch_failed", f"{type(error).__name__}: {error.strerror or error}") from None


def _open(root: str) -> tuple[Any, str]:
    files, path = fsspec.core.url_to_fs(root)
    return files, str(path)
