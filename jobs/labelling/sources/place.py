"""Opening a path or URL as fsspec does, and Spark's names for S3 too."""

from typing import Any

import fsspec

from jobs.errors import InvalidImageSetError
from jobs.object_store import arrow_files

LISTED_PROTOCOLS = frozenset({"file", "s3", "s3a", "gs", "gcs", "hdfs", "abfs", "abfss"})
"""What a line of a list may name beside a path and http(s): storage, no other service that fsspec can reach."""


def protocol(location: str) -> str:
    """Names the protocol of a URL in lower case; empty for a path."""
    scheme, separator, _ = location.partition("://")
    return scheme.lower() if separator else ""


def open_place(location: str) -> tuple[Any, str]:
    """Finds the file system of a path or URL, and the path on it.

    `s3a://`, as Spark calls it, is S3; Arrow reads it, with the credentials, the region and the `AWS_ENDPOINT_URL` of the
    environment.

    Raises:
        ValueError: No such protocol.
        ImportError: Its package is not installed.
    """
    if protocol(location) not in ("s3", "s3a"):
        files, path = fsspec.core.url_to_fs(location)
        return files, str(path)
    from fsspec.implementations.arrow import ArrowFSWrapper

    return ArrowFSWrapper(arrow_files()), location.partition("://")[2]


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
