"""The code of a user's own model: packed with its study, and put where it can be imported."""

import hashlib
import io
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from jobs.errors import InvalidExperimentError
from jobs.files import write_atomically

CODE_FILE = "code.zip"
"""Where the code lies in the folder of its study."""

_TAKEN = "jobs"
_MOST_BYTES = 100_000_000
"""Of all files together: code is small, a folder of data given as code is not, an archive may hold more than it seems to."""


def pack_code(code: tuple[Path, ...]) -> bytes:
    """Packs packages, modules and archives into one zip from which Python can import; the same code gives the same bytes.

    Args:
        code: Folders of packages, `.py` files, or `.zip` files whose members are taken over.

    Raises:
        InvalidExperimentError: One of them does not exist, is of another kind, would hide a package of Atoll's, or holds a link
            to what lies elsewhere; or two of them hold the same file; or they are larger than code is.
    """
    members: dict[str, bytes] = {}
    bytes_left = _MOST_BYTES
    for source in code:
        for name, size, read in _members(source):
            bytes_left -= size
            if bytes_left < 0:
                raise InvalidExperimentError(
                    f"code: {source}: more than {_MOST_BYTES / 1e6:g} MB; accepted: code alone"
                )
            content = read()
            if name in members and members[name] != content:
                raise InvalidExperimentError(f"code: {source}: {name} is there already; accepted: each file once")
            if Path(name).parts[0] in (_TAKEN, f"{_TAKEN}.py"):
                raise InvalidExperimentError(f"code: {source}: {_TAKEN} is Atoll's own package; accepted: another name")
            members[name] = content
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), members[name])
    return packed.getvalue()


def keep_code(code: tuple[Path, ...], study_folder: Path) -> str:
    """Packs the code into the folder of its study, and gives its SHA-256.

    Raises:
        InvalidExperimentError: It cannot be packed, or the study was begun with other code.
    """
    packed = pack_code(code)
    path = study_folder / CODE_FILE
    if path.exists() and path.read_bytes() != packed:
        raise InvalidExperimentError(
            f"code: study {study_folder.name} was begun with other code; accepted: the same ({path}), or a new name"
        )
    write_atomically(path, packed)
    return hashlib.sha256(packed).hexdigest()


def use_code(study_folder: Path) -> None:
    """Lets this process import the code of a study, if it has any."""
    path = str(study_folder / CODE_FILE)
    if Path(path).exists() and path not in sys.path:
        sys.path.insert(0, path)


def _members(source: Path) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    """Gives the name, the size and the content of each file."""
    if source.is_dir():
        folder = source.resolve()
        for file in sorted(source.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                # Executors are not to get what only this process may read.
                if not file.resolve().is_relative_to(folder):
                    raise InvalidExperimentError(f"code: {file}: a link out of {source}; accepted: files of the folder")
                yield file.relative_to(source.parent).as_posix(), file.stat().st_size, file.read_bytes
    elif source.suffix == ".py" and source.is_file():
        yield source.name, source.stat().st_size, source.read_bytes
    elif source.is_file() and zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            files = (member for member in archive.infolist() if not member.is_dir())
            yield from ((member.filename, member.file_size, partial(archive.read, member)) for member in files)
    else:
        what = "is no package, module or archive" if source.exists() else "does not exist"
        raise InvalidExperimentError(f"code: {source} {what}; accepted: a folder, a .py file, a .zip file")
