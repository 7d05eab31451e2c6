"""What Atoll asks of an object store: whole objects, listings, and a write that only happens if nobody else wrote.

boto3 does it, since neither Arrow nor fsspec promises a write with a condition. Credentials, region and endpoint come from
where every tool of S3 finds them: `AWS_*` in the environment, a profile, or the machine's role.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jobs.errors import InvalidArgumentError, ServiceUnavailableError
from jobs.object_place import ObjectPlace

_AT_ONCE = 1000
"""Objects that S3 lists, or deletes, in one request."""

_WHOLE = 4 * 1024**3
"""Bytes up to which an object is written or copied in one request, of which a killed writer leaves nothing."""

_GONE = {"NoSuchKey", "404", "NotFound"}
_LOST = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409", *_GONE}


@dataclass(frozen=True)
class Stored:
    """An object as it was read; `version` changes with its content."""

    content: bytes
    version: str


@dataclass(frozen=True)
class Listed:
    """An object of a listing."""

    place: ObjectPlace
    bytes: int
    changed: datetime


def read(place: ObjectPlace, limit: int | None = None) -> Stored | None:
    """Reads an object, or its first `limit` bytes, at least 1; None where there is none."""
    only = {"Range": f"bytes=0-{limit - 1}"} if limit else {}
    with _told(place) as asked:
        answer = _client().get_object(Bucket=place.bucket, Key=place.key, **only)
        return Stored(answer["Body"].read(), answer["ETag"])
    if asked.code == "InvalidRange":  # zero bytes
        return Stored(b"", "")
    return None


def write(place: ObjectPlace, content: bytes) -> None:
    """Writes an object in one request: it is there whole, or not at all."""
    with _told(place, missing=False):
        _client().put_object(Bucket=place.bucket, Key=place.key, Body=content)


def write_if_unchanged(place: ObjectPlace, content: bytes, version: str | None) -> bool:
    """Writes an object if it still has a version, or, with None, if there is still none; False where it is otherwise."""
    condition = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
    with _told(place, _LOST):
        _client().put_object(Bucket=place.bucket, Key=place.key, Body=content, **condition)
        return True
    return False


def upload(file: Path, place: ObjectPlace) -> None:
    """Writes a file as an object; it is there whole, or not at all."""
    with _told(place, missing=False), file.open("rb") as content:
        _client().upload_fileobj(content, place.bucket, place.key, Config=_transfers())


def download(place: ObjectPlace, file: Path) -> bool:
    """Reads an object into a file; False where there is none."""
    with _told(place):
        _client().download_file(place.bucket, place.key, str(file), Config=_transfers())
        return True
    return False


def copy(source: ObjectPlace, target: ObjectPlace, notes: dict[str, str]) -> bool:
    """Copies an object inside the store, with notes that `notes_of` gives; False where there is no source."""
    extra = {"Metadata": notes, "MetadataDirective": "REPLACE"}
    with _told(source):
        origin = {"Bucket": source.bucket, "Key": source.key}
        _client().copy(origin, target.bucket, target.key, ExtraArgs=extra, Config=_transfers())
        return True
    return False


def notes_of(place: ObjectPlace) -> dict[str, str] | None:
    """Gives the notes of an object; None where there is none."""
    with _told(place):
        return dict(_client().head_object(Bucket=place.bucket, Key=place.key)["Metadata"])
    return None


def listing(prefix: ObjectPlace) -> Iterator[Listed]:
    """Lists all objects below a prefix, in the order of their keys."""
    with _told(prefix, missing=False):
        pages = _client().get_paginator("list_objects_v2")
        size = {"PageSize": _AT_ONCE}
        for page in pages.paginate(Bucket=prefix.bucket, Prefix=_folder(prefix), PaginationConfig=size):
            for found in page.get("Contents", ()):
                if not found["Key"].endswith("/"):  # what consoles make to show a folder
                    yield Listed(ObjectPlace(prefix.bucket, found["Key"]), found["Size"], found["LastModified"])


def folders(prefix: ObjectPlace) -> list[str]:
    """Names what lies directly below a prefix and has objects below it."""
    with _told(prefix, missing=False):
        pages = _client().get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=prefix.bucket, Prefix=_folder(prefix), Delimiter="/")
        return [
            one["Prefix"].rstrip("/").rpartition("/")[2] for page in found for one in page.get("CommonPrefixes", ())
        ]
    return []


def delete(places: Iterable[ObjectPlace]) -> None:
    """Removes objects of one bucket; those that are gone already do not matter."""
    left = list(places)
    while left:
        some, left = left[:_AT_ONCE], left[_AT_ONCE:]
        with _told(some[0], missing=False):
            asked = {"Objects": [{"Key": place.key} for place in some], "Quiet": True}
            refused = _client().delete_objects(Bucket=some[0].bucket, Delete=asked).get("Errors", ())
            for one in refused:
                raise InvalidArgumentError(
                    f"s3://{some[0].bucket}/{one['Key']}: {one['Code']}; accepted: one to delete"
                )


@cache
def arrow_files() -> Any:
    """Gives Arrow's way to the same store, which reads parts of objects: the columns of a Parquet file that are asked for."""
    from pyarrow.fs import S3FileSystem

    region, endpoint = connection()
    return S3FileSystem(region=region, endpoint_override=endpoint)


@cache
def connection() -> tuple[str, str | None]:
    """Gives region and endpoint as boto3 finds them; no endpoint where it is Amazon's own."""
    meta = _client().meta
    own = ".amazonaws.com" in meta.endpoint_url
    return meta.region_name, None if own else meta.endpoint_url


@dataclass
class _Asked:
    code: str = ""


@contextmanager
def _told(place: ObjectPlace, let_pass: set[str] = _GONE, missing: bool = True) -> Iterator[_Asked]:
    """Tells in one line what is wrong with a store; what may be missing is left to the caller.

    Args:
        place: What is asked for.
        let_pass: Codes of errors after which the block is simply left.
        missing: Whether any pass.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    asked = _Asked()
    try:
        yield asked
    except ClientError as error:
        asked.code = error.response["Error"]["Code"]
        if asked.code == "InvalidRange" or (missing and asked.code in let_pass):
            return
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= 500 or asked.code in ("SlowDown", "RequestTimeout", "Throttling"):
            raise ServiceUnavailableError(f"{place}: the object store answers {asked.code}") from None
        raise InvalidArgumentError(
            f"{place}: the object store answers {asked.code}; accepted: a bucket that is there, and credentials that may list, "
            "read, write and delete in it"
        ) from None
    except (NoCredentialsError, PartialCredentialsError):
        raise InvalidArgumentError(
            f"{place}: no credentials; accepted: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, a profile or "
            "a role, for the driver and for the executors"
        ) from None
    except (BotoCoreError, Boto3Error) as error:
        raise ServiceUnavailableError(f"{place}: {' '.join(str(error).split())[:200]}") from None


def _folder(prefix: ObjectPlace) -> str:
    return f"{prefix.key}/" if prefix.key else ""


@cache
def _client() -> Any:
    import boto3
    from botocore.config import Config

    # A silent server is left after a minute; a write with a condition that was answered too late is told by what is there then.
    settings = Config(retries={"mode": "standard"}, connect_timeout=10, read_timeout=60)
    return boto3.session.Session(region_name=os.environ.get("AWS_REGION")).client("s3", config=settings)


@cache
def _transfers() -> Any:
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(multipart_threshold=_WHOLE, use_threads=False)
