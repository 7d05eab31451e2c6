"""What a back-up says of itself: `manifest.json`, written last, by which a restore knows that it is whole."""

import hashlib
from importlib import metadata
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from local.errors import InvalidBackupError

FORMAT = 1
"""Of the folder as a whole; a restore reads this one and those before it."""

_FILE = "manifest.json"

_TABLES_OF = {"airflow": "apache-airflow-core", "mlflow": "mlflow", "optuna": "optuna"}
"""Which package makes the tables of a database."""


class Dump(BaseModel):
    """One database.

    Attributes:
        bytes: Size of its file.
        sha256: Checksum of its file.
        package: The package whose tables it holds.
        version: Of that package.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int
    sha256: str
    package: str
    version: str

    @classmethod
    def of(cls, name: str, file: Path) -> "Dump":
        """Describes the dump of a database that was just made."""
        package = _TABLES_OF[name]
        return cls(bytes=file.stat().st_size, sha256=_sha256(file), package=package, version=metadata.version(package))


class Manifest(BaseModel):
    """A back-up.

    Attributes:
        format: Of the folder.
        made_at: When it was begun.
        workspace: Path of the workspace, by which the databases name its files.
        databases: By name.
        secrets: Whether the keys of the stack are in it.
        images: Whether the image sets are in it.
        files: How many of the workspace.
        bytes: Their size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    made_at: AwareDatetime
    workspace: str
    databases: dict[str, Dump]
    secrets: bool
    images: bool
    files: int
    bytes: int

    def write(self, folder: Path) -> None:
        """Leaves the manifest in a back-up."""
        (folder / _FILE).write_text(self.model_dump_json(indent=2) + "\n")


def dump_file(folder: Path, name: str) -> Path:
    """Where the dump of a database lies in a back-up."""
    return folder / "databases" / f"{name}.dump"


def read_manifest(folder: Path) -> Manifest:
    """Reads the manifest of a back-up and checks that nothing of it is missing.

    Raises:
        InvalidBackupError: It is none, is of a later format, or was changed since.
    """
    path = folder / _FILE
    try:
        text = path.read_bytes()
        found = _Format.model_validate_json(text).format
        if found > FORMAT:
            raise InvalidBackupError(
                f"{path}: format {found}; accepted: up to {FORMAT}; restore it with the Atoll that made it"
            )
        manifest = Manifest.model_validate_json(text)
    except OSError as error:
        raise InvalidBackupError(f"{path}: {error.strerror}; accepted: the folder of a back-up") from None
    except ValidationError as error:
        raise InvalidBackupError(f"{path}: {error.errors()[0]['msg']}; accepted: an unedited manifest") from None
    _check_dumps(folder, manifest)
    _check_files(folder, manifest)
    return manifest


class _Format(BaseModel):
    format: int


def _check_dumps(folder: Path, manifest: Manifest) -> None:
    for name, dump in manifest.databases.items():
        file = dump_file(folder, name)
        if not file.is_file() or (found := _sha256(file)) != dump.sha256:
            state = f"sha256 {found}" if file.is_file() else "missing"
            raise InvalidBackupError(f"{file}: {state}; accepted: {dump.sha256}, as it was dumped")
    secrets = folder / "stack" / "secrets.json"
    if manifest.secrets and not secrets.is_file():
        raise InvalidBackupError(
            f"{secrets}: missing; accepted: the file that the back-up was made with, without whose key nobody can read "
            "the passwords in Airflow's connections"
        )


def _check_files(folder: Path, manifest: Manifest) -> None:
    copied = [file.lstat() for file in (folder / "workspace").rglob("*") if file.is_symlink() or file.is_file()]
    found = len(copied), sum(one.st_size for one in copied)
    if found != (manifest.files, manifest.bytes):
        raise InvalidBackupError(
            f"{folder / 'workspace'}: {found[0]} files of {found[1]} bytes; accepted: {manifest.files} files of "
            f"{manifest.bytes} bytes, as they were copied"
        )


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
