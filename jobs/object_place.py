"""Naming a place in an object store; nothing here reaches one."""

import re
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import InvalidArgumentError

_SCHEMES = ("s3://", "s3a://")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,62}")


@dataclass(frozen=True, order=True)
class ObjectPlace:
    """An object, or a prefix that stands for a folder; joined and shown as a path is.

    Attributes:
        bucket: Name of the bucket.
        key: Without a slash at either end; empty for the bucket itself.
    """

    bucket: str
    key: str

    @classmethod
    def parse(cls, url: str, what: str) -> "ObjectPlace":
        """Reads `s3://bucket/prefix`, or `s3a://` as Spark calls it.

        Args:
            url: The place.
            what: The argument or variable that names it, for the message.

        Raises:
            InvalidArgumentError: It is none.
        """
        bucket, _, key = url.partition("://")[2].partition("/")
        parts = key.rstrip("/").split("/") if key.rstrip("/") else []
        if not url.startswith(_SCHEMES) or not _BUCKET.fullmatch(bucket) or any(p in ("", ".", "..") for p in parts):
            shown = re.sub(r"//.*@", "//...@", url)  # a password has no place in a URL, and none in a log
            raise InvalidArgumentError(f"{what}: {shown!r}; accepted: s3://BUCKET/PREFIX")
        return cls(bucket, "/".join(parts))

    def __truediv__(self, name: str) -> "ObjectPlace":
        return ObjectPlace(self.bucket, f"{self.key}/{name}" if self.key else name)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}".rstrip("/")

    @property
    def name(self) -> str:
        """What follows the last slash."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> "ObjectPlace":
        """The place that this one lies in."""
        return ObjectPlace(self.bucket, self.key.rpartition("/")[0])

    def below(self, other: "ObjectPlace") -> str:
        """Gives the way from a place to this one, which lies in it."""
        return self.key[len(other.key) + 1 if other.key else 0 :]


Place = Path | ObjectPlace
"""A folder or file that every node mounts, or a place in an object store."""


def place_of(text: str) -> Place:
    """Reads a place of either kind."""
    return ObjectPlace.parse(text, "place") if is_object_url(text) else Path(text)


def is_object_url(text: str) -> bool:
    """Whether a text names a place in an object store."""
    return text.startswith(_SCHEMES)
