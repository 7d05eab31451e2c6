"""A stack of its own for the tests: PostgreSQL, Airflow and MLflow in a temporary workspace, started once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.support import DAGS, CommandLine


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Byte code that the stacks of several tests share."""
    return tmp_path_factory.mktemp("bytecode")


@pytest.fixture(scope="session")
def stack_settings(tmp_path_factory: pytest.TempPathFactory, bytecode: Path) -> dict[str, str]:
    return {
        "ATOLL_DAGS": str(DAGS),
        "ATOLL_PLUGINS": str(tmp_path_factory.mktemp("plugins")),
        "ATOLL_SPARK_MASTER": "local[2]",
        "PYTHONPYCACHEPREFIX": str(bytecode),
    }


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory, stack_settings: dict[str, str]) -> Iterator[CommandLine]:
    """The command line of a workspace; whatever a test leaves running there is stopped at the end."""
    line = CommandLine(tmp_path_factory.mktemp("home"), stack_settings)
    yield line
    line.run("down")


@pytest.fixture
def up(commands: CommandLine) -> CommandLine:
    """The same, with its stack up."""
    done = commands.run("up")
    assert done.returncode == 0, done.stderr
    return commands
