"""A database as one file and back, by the programs that come with the embedded PostgreSQL.

They dump any server up to their own version, and load into an older one too.
"""

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from local.errors import DatabaseUnavailableError
from local.postgres import binaries

_UNKNOWN_TO_OLDER_SERVERS = b"SET transaction_timeout = 0;"
"""Stands at the head of what pg_restore 17 and later write; PostgreSQL 16 and before take it for a mistake."""

_HEAD = 60
"""Lines in which it stands; what comes after may be rows of a table."""


def dump(url: str, file: Path) -> None:
    """Writes one database, as it is at one moment.

    Args:
        url: Its address, `postgresql://user:password@host:port/database`.
        file: Where to; made.

    Raises:
        DatabaseUnavailableError: It cannot be read; says why, without the password.
    """
    address, environment = _without_password(url)
    _run(
        "pg_dump", "--format=custom", "--no-owner", "--no-privileges", "--no-statistics", "--no-password",
        "--lock-wait-timeout=60s", f"--file={file}", f"--dbname={address}", environment=environment,
    )  # fmt: skip


def load(file: Path, url: str) -> None:
    """Fills an empty database from what `dump` has written; all of it or nothing.

    Raises:
        DatabaseUnavailableError: It cannot be read or written.
    """
    address, environment = _without_password(url)
    restore = [str(binaries() / "pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(file)]
    client = [str(binaries() / "psql"), "--no-psqlrc", "--quiet", "--no-password", "--single-transaction"]
    client += ["--set=ON_ERROR_STOP=1", f"--dbname={address}", "--file=-"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with (
        subprocess.Popen(restore, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader,
        subprocess.Popen(client, env=environment, stdin=subprocess.PIPE, **quiet) as writer,
    ):
        try:
            writer.stdin.writelines(for_any_server(reader.stdout))
        except BrokenPipeError:  # it has ended, and says why
            _check("psql", writer.wait(), writer.stderr.read())
        if unread := reader.wait():
            writer.kill()  # else it would commit the half that it has
            _check("pg_restore", unread, reader.stderr.read())
        writer.stdin.close()
        _check("psql", writer.wait(), writer.stderr.read())


def for_any_server(script: Iterable[bytes]) -> Iterator[bytes]:
    """Leaves out of an SQL script what older servers do not know; the rows of its tables stay as they are."""
    for number, line in enumerate(script):
        if number >= _HEAD or line.rstrip() != _UNKNOWN_TO_OLDER_SERVERS:
            yield line


def _without_password(url: str) -> tuple[str, dict[str, str]]:
    """Takes the password out of an address, since every user of the machine can read a command line."""
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    address = urlunsplit(parts._replace(netloc=f"{user}@{host}" if user else host))
    known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return address, known | {"LC_ALL": "C"} | ({"PGPASSWORD": unquote(password)} if password else {})


def _run(program: str, *arguments: str, environment: dict[str, str]) -> None:
    done = subprocess.run([str(binaries() / program), *arguments], env=environment, capture_output=True, check=False)
    _check(program, done.returncode, done.stderr)


def _check(program: str, status: int, said: bytes) -> None:
    if status:
        words = " ".join(said.decode(errors="replace").split())
        raise DatabaseUnavailableError(f"PostgreSQL: {program} failed: {words[:500] or f'exit status {status}'}")
