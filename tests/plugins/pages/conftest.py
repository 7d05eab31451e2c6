"""Airflow's own API server, with the pages in it, on a workspace as a few nights leave it."""

from collections.abc import Iterator

import pytest

from jobs.workspace import Workspace
from tests.plugins.pages import example
from tests.plugins.pages.server import Server, api_server


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Four versions, their studies, twelve days."""
    filled = Workspace(tmp_path_factory.mktemp("pages"))
    example.fill(filled)
    return filled


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, workspace: Workspace) -> Iterator[Server]:
    """The server, started once."""
    with api_server(tmp_path_factory.mktemp("airflow"), workspace) as running:
        yield running
