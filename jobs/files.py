"""Writing files and folders so that a reader sees all of them or nothing."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from jobs.object_place import Place


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes `content` beside `path` and renames it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, staged = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        Path(staged).chmod(0o644)
        Path(staged).replace(path)
    except BaseException:
        Path(staged).unlink(missing_ok=True)
        raise


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Gives a folder to fill, which becomes `target` when the block ends well and vanishes when it does not.

    Where two writers race for the same content, the first wins and the second's copy is dropped, so `target` must be named
    by its content.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        yield staged
        staged.chmod(0o755)
        try:
            staged.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def open_regular(path: Path) -> BufferedReader:
    """Opens a file for reading; a folder, a pipe or a device is none.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    # Else opening a pipe would wait for somebody to write into it.
    file = open(path, "rb", opener=lambda place, flags: os.open(place, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(0, "not a regular file")
    return file


@contextmanager
def named_in_errors(place: Place, outcome: str) -> Iterator[None]:
    """Completes the system's errors: one that comes in the middle of a file, as of a full disk, does not name it.

    Args:
        place: What is written; named where the error names nothing.
        outcome: What the error means for the user, left as a note of it.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(place)
        error.add_note(outcome)
        raise
