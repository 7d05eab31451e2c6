"""A back-up as a tar on a stream, for where no folder is shared: out of a container, or to another machine."""

import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from local.backup.make import fill
from local.backup.restore import restore
from local.errors import InvalidBackupError
from local.settings import Settings


def send(settings: Settings, output: IO[bytes], *, images: bool, say: Callable[[str], None]) -> None:
    """Writes a back-up as a tar; needs room for it among the temporary files.

    Raises:
        BackupRefusedError: There is nothing to back up.
        DatabaseUnavailableError: A database cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="atoll-backup-") as scratch:
        fill(settings, Path(scratch), images=images, say=say)
        with tarfile.open(fileobj=output, mode="w|") as archive:
            archive.add(scratch, arcname=".")


def receive(settings: Settings, source: IO[bytes], say: Callable[[str], None]) -> None:
    """Restores a back-up from a tar, when all of it has come.

    Raises:
        InvalidBackupError: It is no tar, or is cut short.
        BackupRefusedError: It does not suit the stack.
        DatabaseUnavailableError: A database cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="atoll-backup-") as scratch:
        unpack = ["tar", "--extract", "--no-same-owner", "--file=-", f"--directory={scratch}"]
        done = subprocess.run(unpack, stdin=source, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            told = (done.stderr.splitlines() or [f"tar ended with {done.returncode}"])[0]
            raise InvalidBackupError(f"standard input: {told}; accepted: the tar of a back-up")
        restore(settings, Path(scratch), say)
