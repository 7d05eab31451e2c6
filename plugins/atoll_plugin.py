"""Registers the pages ("Models") in Airflow's UI; every process of Airflow imports this file, so it imports nothing heavy."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from atoll.deadlines import RunQueued

PREFIX = "/atoll"
"""Where the pages lie on Airflow's API server."""

_Application = Callable[[Any, Any, Any], Awaitable[None]]


class PagesOnDemand:
    """The pages' application, imported by the first request that it gets."""

    def __init__(self) -> None:
        self._application: _Application | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request (ASGI)."""
        if self._application is None:
            self._application = (await asyncio.to_thread(importlib.import_module, "atoll.pages.app")).application
        await self._application(scope, receive, send)


def _view(destination: str, route: str, href: str) -> dict[str, str]:
    return {
        "name": "Models",
        "destination": destination,
        "url_route": route,
        # Relative, so that Airflow may lie behind a proxy under any path.
        "href": f"{PREFIX.lstrip('/')}/{href}",
        "icon": f"{PREFIX}/static/models.svg",
    }


class AtollPlugin(AirflowPlugin):
    """Models in the navigation, and on the pages of each DAG and each run."""

    name = "atoll"
    deadline_references = [RunQueued]
    fastapi_apps = [{"app": PagesOnDemand(), "url_prefix": PREFIX, "name": "Atoll's pages"}]
    external_views = [
        _view("nav", "models", ""),
        _view("dag", "dag-models", "dags/{DAG_ID}"),
        _view("dag_run", "run-models", "dags/{DAG_ID}/runs/{RUN_ID}"),
    ]
