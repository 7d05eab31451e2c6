"""A stack that is backed up while it runs, is lost, and comes back."""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from cryptography.fernet import Fernet

from jobs.labelling.destination import Destination
from jobs.labelling.publish import publish
from jobs.registry.champions import champion_history, set_champion
from jobs.registry.versions import ModelVersion, download_graph, find_champion, register
from jobs.workspace import Workspace
from local.databases import Databases
from local.keys import load_secrets
from local.runs import wait_for_dags
from local.settings import Settings
from local.stack import Stack
from tests import tones
from tests.local.published_days import DAY, IMAGES, runs_seen, staged_by
from tests.local.support import CommandLine
from tests.nights import Nights

pytestmark = pytest.mark.stack


@pytest.fixture(autouse=True)
def _registry_as_it_was() -> Iterator[None]:
    before = os.environ.get("MLFLOW_TRACKING_URI")
    yield
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    if before is not None:
        os.environ["MLFLOW_TRACKING_URI"] = before


def enter(commands: CommandLine) -> tuple[Nights, Workspace, Databases]:
    """Sees a stack that is up: by REST, by files, by its databases; the registry is that of this process, too."""
    stack = Stack(Settings.from_environment(commands.environment))
    state = stack.file.read()
    assert state is not None
    databases = Databases(f"postgresql://atoll:{stack.secrets.postgres_password}@{state.database}")
    os.environ["MLFLOW_TRACKING_URI"] = databases.mlflow
    return Nights(stack), stack.settings.workspace, databases


def add_champion(number: int, workspace: Workspace, folder: Path) -> ModelVersion:
    folder.mkdir()
    (folder / "graph.pb").write_bytes(b"graph %d" % number)
    (folder / "labels.txt").write_text("black\nwhite\n")
    version = register(tones.NAME, f"tones-night-{number}", "0123456789abcdef", folder, {}, workspace)
    set_champion(version, workspace, f"tune_model night {number}", f"better than version {number - 1}")
    return version


def connection_password(databases: Databases, key: str) -> str:
    """Reads a connection's password as Airflow does: from its table, by the key."""
    with psycopg2.connect(databases.plain("airflow")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT password FROM connection WHERE conn_id = 'photos'")
        ((encrypted,),) = cursor.fetchall()
    connection.close()
    assert "hush" not in encrypted
    return Fernet(key).decrypt(encrypted.encode()).decode()


def test_what_is_backed_up_while_the_stack_runs_comes_back_into_an_empty_one(up: CommandLine, tmp_path: Path) -> None:
    nights, workspace, _ = enter(up)
    wait_for_dags(nights.airflow, ["steps"], None)
    nights.unpause("steps")
    run = nights.trigger("steps", {})
    assert [ended.state for ended in nights.end("steps", run, 120)] == ["success"]
    nights.ask("POST", "/connections", {"connection_id": "photos", "conn_type": "http", "password": "hush"})
    champions = [add_champion(number, workspace, tmp_path / str(number)) for number in (1, 2)]
    history = champion_history(tones.NAME, workspace)
    day = Destination.of_day(workspace, tones.NAME, DAY)
    with day.locked():
        publish(day, *staged_by(day, "night 1"), IMAGES)

    folder = tmp_path / "backup"
    saved = up.run("backup", str(folder))
    assert saved.returncode == 0, saved.stderr
    assert "It holds the keys of the stack." in saved.stdout
    assert folder.stat().st_mode & 0o077 == 0
    assert up.run("backup", str(folder)).stderr == f"atoll: error: {folder}: exists; accepted: a new folder\n"
    assert "accepted: an empty folder" in up.run("restore", str(folder)).stderr
    nights.airflow.close()
    assert up.run("down").returncode == 0
    key = load_secrets(up.home / "stack").fernet_key
    up.home.rename(up.home.with_name("lost"))

    restored = up.run("restore", str(folder))
    assert restored.returncode == 0, restored.stderr
    started = up.run("up")
    assert started.returncode == 0, started.stderr
    nights, workspace, databases = enter(up)
    assert [known.state for known in nights.runs("steps") if known.id == run] == ["success"]
    assert nights.result("steps", run, "count") == {"name": "digits", "accuracy": 0.5}
    assert "progress: 3 of 3" in nights.log_of("steps", run, "count")
    assert load_secrets(up.home / "stack").fernet_key == key
    assert connection_password(databases, key) == "hush"
    assert find_champion(tones.NAME, workspace) == champions[-1]
    assert champion_history(tones.NAME, workspace) == history
    assert download_graph(champions[0], tmp_path / "graph", workspace).graph.read_bytes() == b"graph 1"
    assert runs_seen(workspace.root) == ({"night 1"}, {"night 1"})
    nights.airflow.close()
