"""Back-ups that cannot be made or restored: told in one line each, with nothing changed."""

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.backup.dumps import for_any_server
from local.backup.make import back_up
from local.backup.manifest import Dump, Manifest, dump_file, read_manifest
from local.backup.restore import check_can_restore, restore
from local.errors import BackupRefusedError, DatabaseUnavailableError, InvalidBackupError
from local.settings import Settings


def settings_at(root: Path, **more: str) -> Settings:
    return Settings.from_environment({"ATOLL_HOME": str(root)} | more)


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A back-up of the workspace `home`, with one file and a database that is none."""
    folder = tmp_path / "backup"
    file = dump_file(folder, "airflow")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not of pg_dump")
    label = folder / "workspace" / "labels" / "tones" / "part.parquet"
    label.parent.mkdir(parents=True)
    label.write_bytes(b"rows")
    (folder / "stack").mkdir()
    (folder / "stack" / "secrets.json").write_text("{}")
    Manifest(
        made_at=datetime(2026, 3, 2, tzinfo=UTC),
        workspace=str(tmp_path / "home"),
        databases={"airflow": Dump.of("airflow", file)},
        secrets=True,
        images=True,
        files=1,
        bytes=4,
    ).write(folder)
    return folder


def change(backup: Path, **fields: object) -> None:
    path = backup / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_whole_back_up_is_read(backup: Path, tmp_path: Path) -> None:
    check_can_restore(read_manifest(backup), settings_at(tmp_path / "home"))


def test_a_back_up_of_a_later_format_names_both(backup: Path) -> None:
    change(backup, format=2, compressed=True)
    with pytest.raises(InvalidBackupError, match=r"manifest\.json: format 2; accepted: up to 1"):
        read_manifest(backup)


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ("manifest.json", "manifest.json: No such file"),
        ("databases/airflow.dump", "airflow.dump: missing"),
        ("workspace/labels/tones/part.parquet", "workspace: 0 files of 0 bytes; accepted: 1 files of 4 bytes"),
        ("stack/secrets.json", "secrets.json: missing; accepted: the file that the back-up was made with"),
    ],
)
def test_a_back_up_of_which_a_file_is_gone_is_refused(backup: Path, lost: str, told: str) -> None:
    (backup / lost).unlink()
    with pytest.raises(InvalidBackupError, match=told):
        read_manifest(backup)


def test_a_dump_that_was_changed_is_refused(backup: Path) -> None:
    dump_file(backup, "airflow").write_bytes(b"not of pg_dumq")
    with pytest.raises(InvalidBackupError, match=r"airflow\.dump: sha256 "):
        read_manifest(backup)


def test_another_path_is_refused_since_the_registry_names_files_by_it(backup: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupRefusedError, match=f"elsewhere'; accepted: '{tmp_path}/home'"):
        restore(settings_at(tmp_path / "elsewhere"), backup)


def test_tables_of_a_later_airflow_than_is_installed_are_refused(backup: Path, tmp_path: Path) -> None:
    databases = json.loads((backup / "manifest.json").read_text())["databases"]
    change(backup, databases={"airflow": databases["airflow"] | {"version": "99.1.0"}})
    with pytest.raises(BackupRefusedError, match=r"tables are of apache-airflow-core 99\.1\.0, installed is"):
        restore(settings_at(tmp_path / "home"), backup)


def test_a_restore_overwrites_nothing(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "home" / "labels").mkdir(parents=True)
    with pytest.raises(BackupRefusedError, match="holds labels; accepted: an empty folder"):
        restore(settings_at(tmp_path / "home"), backup)


def test_a_restore_that_fails_in_the_middle_leaves_an_empty_workspace(backup: Path, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match=r"pg_restore failed: .*not appear to be a valid archive"):
        restore(settings_at(tmp_path / "home"), backup)
    assert list((tmp_path / "home").iterdir()) == []
    nowhere = settings_at(tmp_path / "home", ATOLL_DATABASE_URL="postgresql://me:hush@127.0.0.1:9")
    with pytest.raises(DatabaseUnavailableError, match=r"PostgreSQL at 127\.0\.0\.1:9: .*refused") as refused:
        restore(nowhere, backup)
    assert "hush" not in str(refused.value)
    assert list((tmp_path / "home").iterdir()) == []


def test_there_must_be_something_to_back_up_and_another_place_to_put_it(tmp_path: Path) -> None:
    settings = settings_at(tmp_path / "home")
    with pytest.raises(BackupRefusedError, match="lies in the workspace"):
        back_up(settings, tmp_path / "home" / "backup")
    with pytest.raises(BackupRefusedError, match="Atoll was never started there"):
        back_up(settings, tmp_path / "backup")
    with pytest.raises(BackupRefusedError, match="No such file or directory; nothing was written"):
        back_up(settings, tmp_path / "nowhere" / "backup")
    assert not any(tmp_path.iterdir())


def test_a_script_for_an_older_server_lacks_what_it_does_not_know_and_no_row() -> None:
    setting = b"SET transaction_timeout = 0;\n"
    head = [b"SET lock_timeout = 0;\n", setting]
    rows = [b"x\n"] * 100 + [setting]
    assert list(for_any_server([*head, *rows])) == [head[0], *rows]


def test_a_tar_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        ["python", "-m", "local", "restore", "-"],
        env={"PATH": os.environ["PATH"], "ATOLL_HOME": str(tmp_path / "home")},
        cwd=Path(__file__).resolve().parents[2],
        input=b"cut short",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"atoll: error: standard input: " in done.stderr
