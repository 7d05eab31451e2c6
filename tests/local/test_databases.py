"""The addresses of the databases, and what they ask of the server."""

import pytest
from sqlalchemy import create_engine, make_url, text

from local.databases import IDLE_IN_TRANSACTION, Databases
from local.keys import load_secrets
from local.state import StackState
from tests.local.support import CommandLine


@pytest.mark.parametrize(
    ("server", "query"),
    [
        ("postgresql://one:secret@db:5432", {"options": IDLE_IN_TRANSACTION}),
        (
            "postgresql://one:secret@db:5432/entrance?sslmode=require&options=-c%20search_path%3Dours",
            {"sslmode": "require", "options": f"{IDLE_IN_TRANSACTION} -c search_path=ours"},
        ),
    ],
)
def test_airflow_s_address_keeps_the_options_of_the_server_s_and_adds_its_own(server: str, query: dict) -> None:
    url = make_url(Databases(server).airflow)
    assert (url.database, dict(url.query)) == ("airflow", query)


@pytest.mark.stack
def test_a_transaction_that_a_killed_scheduler_leaves_behind_ends_after_a_minute(up: CommandLine) -> None:
    folder = up.home / "stack"
    state = StackState.model_validate_json((folder / "stack.json").read_text())
    databases = Databases(f"postgresql://atoll:{load_secrets(folder).postgres_password}@{state.database}")
    with create_engine(databases.airflow).connect() as connection:
        assert connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar() == "1min"
