"""Opening a path or URL as fsspec does, and Spark's names for S3 too."""

from functools import lru_cache
from typing import Any

import fsspec

from jobs.errors import InvalidImageSetError

LISTED_PROTOCOLS = frozenset({"file", "s3", "s3a", "gs", "gcs", "hdfs", "abfs", "abfss"})
"""What a line of a list may name beside a path and http(s): storage, no other service that fsspec can reach."""


def protocol(location: str) -> str:
    """Names the protocol of a URL in lower case; empty for a path."""
    scheme, separator, _ = location.partition("://")
    return scheme.lower() if separator else ""


def open_place(location: str) -> tuple[Any, str]:
    """Finds the file system of a path or URL, and the path on it.

    `s3a://`, as Spark calls it, is S3; Arrow reads it where s3fs is not installed, with the credentials and the
    `AWS_ENDPOINT_URL` of the environment.

    Raises:
        ValueError: No such protocol.
        ImportError: Its package is not installed.
    """
    if protocol(location) not in ("s3", "s3a"):
        files, path = fsspec.core.url_to_fs(location)
        return files, str(path)
    return _s3(), location.partition("://")[2]


@lru_cache(maxsize=1)
def _s3() -> Any:
    try:
        return fsspec.filesystem("s3")
    except ImportError:
        from fsspec.implementations.arrow import ArrowFSWrapper
        from pyarrow.fs import S3FileSystem

        return ArrowFSWrapper(S3FileSystem())


def open_for_user(location: str, accepted: str) -> tuple[Any, str]:
    """Does the same for what the user named.

    Raises:
        InvalidImageSetError: The protocol is not known, or its package is not installed.
    """
    if protocol(location) in ("http", "https"):
        raise InvalidImageSetError(f"{location}: is a web page; accepted: {accepted}, or URLs in --image-list")
    try:
        return open_place(location)
    except (ValueError, ImportError) as error:
        raise InvalidImageSetError(f"{location}: {error}; accepted: {accepted}") from None
