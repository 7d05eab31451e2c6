"""Restoring a back-up into a stack that has nothing yet; all of it or nothing."""

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from local.backup import dumps
from local.backup.files import copy_folder
from local.backup.make import STACK, task_logs
from local.backup.manifest import Manifest, dump_file, read_manifest
from local.checks import check_workspace
from local.databases import Databases
from local.errors import BackupRefusedError
from local.keys import load_secrets, write_private
from local.postgres import EmbeddedPostgres
from local.settings import Settings

_OF_THE_DISK = {"lost+found"}
"""What an empty disk holds."""


def restore(settings: Settings, folder: Path, say: Callable[[str], None] = print) -> Manifest:
    """Makes a workspace and its databases what they were when a back-up was made; starts nothing.

    Args:
        settings: The stack; its workspace must be empty, and at the path that it had.
        folder: The back-up.
        say: Told what was done.

    Raises:
        InvalidBackupError: The back-up is damaged, or of a later format.
        BackupRefusedError: Something is there already, the path is another, or what is installed is older than the tables.
        DatabaseUnavailableError: A database cannot be written.
    """
    manifest = read_manifest(folder)
    check_can_restore(manifest, settings)
    root = settings.workspace.root
    check_workspace(root, needed=manifest.bytes)
    staged = root / f".restore-{secrets.token_hex(6)}"
    try:
        staged.mkdir(mode=0o700)
        with _server(settings, staged / STACK, folder) as databases:
            databases.create_missing()
            for name in manifest.databases:
                dumps.load(dump_file(folder, name), databases.plain(name))
            say(f"restored the databases {', '.join(manifest.databases)}")
            copied = copy_folder(folder / "workspace", staged, hidden=True)
            copy_folder(task_logs(folder / STACK), task_logs(staged / STACK))
        say(f"restored {copied.files} files, {copied.bytes / 1e6:.1f} MB")
        os.sync()
        _move(staged, root)
    except OSError as error:
        raise BackupRefusedError(f"{error.filename or root}: {error.strerror or error}; nothing was restored") from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return manifest


def check_can_restore(manifest: Manifest, settings: Settings) -> None:
    """Checks that a back-up suits a stack, and that nothing would be overwritten.

    Raises:
        BackupRefusedError: It does not.
    """
    root = settings.workspace.root
    if str(root) != manifest.workspace:
        raise BackupRefusedError(
            f"ATOLL_HOME: {str(root)!r}; accepted: {manifest.workspace!r}, by which the databases of this back-up name "
            "their files (where they lie on another disk, mount it there)"
        )
    held = sorted({path.name for path in root.iterdir()} - _OF_THE_DISK) if root.exists() else []
    if held:
        raise BackupRefusedError(f"ATOLL_HOME: {str(root)!r} holds {', '.join(held[:4])}; accepted: an empty folder")
    if not (manifest.secrets or settings.database_url):
        raise BackupRefusedError(
            "ATOLL_DATABASE_URL: not set, and the back-up is of a stack with a PostgreSQL of its own; accepted: the address "
            "of an empty one"
        )
    for name, dump in manifest.databases.items():
        installed = metadata.version(dump.package)
        if release(installed) < release(dump.version):
            raise BackupRefusedError(
                f"{name}: the tables are of {dump.package} {dump.version}, installed is {installed}; accepted: {dump.version} "
                "or later (git checkout the Atoll that made the back-up)"
            )


def release(version: str) -> tuple[int, ...]:
    """The numbers of a version, for example (3, 3, 2) for `3.3.2` and for `3.3.2rc1`."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


@contextmanager
def _server(settings: Settings, stack: Path, backup: Path) -> Iterator[Databases]:
    """Gives empty databases; makes the keys, and a server among them, in the folder of a stack.

    What was loaded is removed again where the block ends badly.
    """
    kept = backup / STACK / "secrets.json"
    if kept.exists():
        write_private(stack / kept.name, kept.read_text())
    if settings.database_url:
        databases = Databases(settings.database_url)
        if filled := databases.filled():
            raise BackupRefusedError(
                f"PostgreSQL at {databases.address}: {', '.join(filled)} hold tables; accepted: empty databases, or none"
            )
        try:
            yield databases
        except BaseException:
            databases.empty()
            raise
        return
    postgres = EmbeddedPostgres(stack / "postgres", load_secrets(stack).postgres_password)
    try:
        yield postgres.start()
    finally:
        postgres.stop()


def _move(staged: Path, root: Path) -> None:
    """Puts everything into place; what was moved is taken back where that fails."""
    moved: list[Path] = []
    try:
        for entry in sorted(
            staged.iterdir(), key=lambda entry: entry.name == STACK
        ):  # the stack last: with it, all is there
            moved.append(entry.rename(root / entry.name))
    except BaseException:
        for entry in moved:
            entry.rename(staged / entry.name)
        raise
