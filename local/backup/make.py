"""Making a back-up, whether the stack runs or not: nobody is kept waiting, and nothing is stopped.

What refers to something is copied before what it refers to: Airflow's runs, then the labels, then the registry whose versions
the labels name, then the files that the registry names. None of these is removed while something refers to it, so what
comes back finds what it names.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from jobs.workspace import Workspace
from local.backup import dumps
from local.backup.files import PUBLISHED, Copied, copy_entry, copy_folder, copy_published
from local.backup.manifest import Dump, Manifest, dump_file
from local.databases import Databases
from local.errors import BackupRefusedError
from local.keys import load_secrets, write_private
from local.postgres import EmbeddedPostgres
from local.settings import Settings
from local.stack import Stack

IMAGE_SETS = "image_sets"
STACK = "stack"


def back_up(settings: Settings, folder: Path, *, images: bool = True, say: Callable[[str], None] = print) -> Manifest:
    """Writes a back-up of the stack of a workspace; all of it or nothing.

    Args:
        settings: The stack.
        folder: Where to; made. Its parent must exist.
        images: Whether the image sets are copied, which a team may keep elsewhere.
        say: Told what was done.

    Raises:
        BackupRefusedError: The folder exists, lies in the workspace, or cannot be written; or there is nothing to back up.
        DatabaseUnavailableError: A database cannot be read.
    """
    place = folder.expanduser().absolute()
    if os.path.lexists(place):
        raise BackupRefusedError(f"{folder}: exists; accepted: a new folder")
    if place.resolve().is_relative_to(settings.workspace.root):
        raise BackupRefusedError(
            f"{folder}: lies in the workspace, with which it would be lost; accepted: another place"
        )
    staged = place.with_name(f".{place.name}.{secrets.token_hex(6)}")
    try:
        staged.mkdir(mode=0o700)
        manifest = fill(settings, staged, images=images, say=say)
        os.sync()
        staged.rename(place)
    except OSError as error:
        raise BackupRefusedError(
            f"{error.filename or folder}: {error.strerror or error}; nothing was written; accepted: a new folder in one "
            "that exists, with room for all of the workspace"
        ) from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return manifest


def fill(settings: Settings, folder: Path, *, images: bool, say: Callable[[str], None]) -> Manifest:
    """Fills an empty folder with a back-up; its manifest comes last.

    Raises:
        BackupRefusedError: There is nothing to back up, or a day does not stand still.
        DatabaseUnavailableError: A database cannot be read.
    """
    began = datetime.now(UTC)
    workspace, copy = settings.workspace, Workspace(folder / "workspace")
    copy.root.mkdir()
    dump_file(folder, "").parent.mkdir()
    with _server(settings) as databases:
        described = {"airflow": _dump(databases, "airflow", folder)}
        copied = copy_published(workspace, copy) + copy_folder(workspace.root / "runs", copy.root / "runs")
        described |= {name: _dump(databases, name, folder) for name in ("optuna", "mlflow")}
    say(f"dumped the databases of {databases.address}: {', '.join(described)}")
    copied += _copy_the_rest(workspace, copy, images)
    say(f"copied {copied.files} files, {copied.bytes / 1e6:.1f} MB")
    kept = settings.folder / "secrets.json"
    if kept.exists():
        write_private(folder / STACK / kept.name, kept.read_text())
    _copy_task_logs(settings, folder)
    manifest = Manifest(
        made_at=began,
        workspace=str(workspace.root),
        databases=described,
        secrets=kept.exists(),
        images=images,
        files=copied.files,
        bytes=copied.bytes,
    )
    manifest.write(folder)
    return manifest


def task_logs(stack: Path) -> Path:
    """Where Airflow leaves the logs of its tasks, in the folder of a stack."""
    return stack / "airflow" / "logs"


def _copy_task_logs(settings: Settings, folder: Path) -> None:
    for log in sorted(task_logs(settings.folder).glob("dag_id=*")):
        copy_folder(log, task_logs(folder / STACK) / log.name)


def _copy_the_rest(workspace: Workspace, copy: Workspace, images: bool) -> Copied:
    copied = Copied()
    for entry in sorted(workspace.root.iterdir()):
        known = entry.name in (*PUBLISHED, "runs", STACK) or entry.name.startswith(".")
        if not known and (images or entry.name != IMAGE_SETS):
            copied += copy_entry(entry, copy.root / entry.name, hidden=entry.name == IMAGE_SETS)
    return copied


def _dump(databases: Databases, name: str, folder: Path) -> Dump:
    file = dump_file(folder, name)
    dumps.dump(databases.plain(name), file)
    return Dump.of(name, file)


@contextmanager
def _server(settings: Settings) -> Iterator[Databases]:
    """Gives the databases; an embedded server that does not run is started, and stopped again."""
    if settings.database_url:
        yield Databases(settings.database_url)
        return
    postgres = EmbeddedPostgres(settings.postgres, "")
    if not (postgres.data / "PG_VERSION").exists():
        raise BackupRefusedError(
            f"ATOLL_HOME: {str(settings.workspace.root)!r}: Atoll was never started there, so there is nothing to back up"
        )
    postgres = EmbeddedPostgres(settings.postgres, load_secrets(settings.folder).postgres_password)
    stack = Stack(settings)
    if stack.file.read() is not None:
        yield postgres.start()
        return
    with stack.locked():
        ran = postgres.running() is not None
        try:
            yield postgres.start()
        finally:
            if not ran:
                postgres.stop()
