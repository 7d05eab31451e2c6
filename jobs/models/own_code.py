"""The code of a user's own model: packed with its study, and put where it can be imported."""

import hashlib
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from jobs.errors import InvalidExperimentError
from jobs.files import write_atomically

CODE_FILE = "code.zip"
"""Where the code lies in the folder of its study."""

_TAKEN = "jobs"


def pack_code(code: tuple[Path, ...]) -> bytes:
    """Packs packages, modules and archives into one zip from which Python can import; the same code gives the same bytes.

    Args:
        code: Folders of packages, `.py` files, or `.zip` files whose members are taken over.

    Raises:
        InvalidExperimentError: One of them does not exist, is of another kind, or would hide a package of Atoll's; or two of
            them hold the same file.
    """
    members: dict[str, bytes] = {}
    for source in code:
        for name, content in _members(source):
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


def _members(source: Path) -> Iterator[tuple[str, bytes]]:
    if source.is_dir():
        for file in sorted(source.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file.relative_to(source.parent).as_posix(), file.read_bytes()
    elif source.suffix == ".py" and source.is_file():
        yield source.name, source.read_bytes()
    elif source.is_file() and zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            yield from ((name, archive.read(name)) for name in archive.namelist() if not name.endswith("/"))
    else:
        what = "is no package, module or archive" if source.exists() else "does not exist"
        raise InvalidExperimentError(f"code: {source} {what}; accepted: a folder, a .py file, a .zip file")
