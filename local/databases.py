"""One PostgreSQL server with a database each for Airflow, MLflow and Optuna."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg2  # type: ignore[import-untyped]  # its stubs are not among the dependencies
from psycopg2 import errorcodes, sql

from local.errors import DatabaseUnavailableError

NAMES = ("airflow", "mlflow", "optuna")
"""The databases that the stack uses."""

IDLE_IN_TRANSACTION = "-c idle_in_transaction_session_timeout=60s"
"""A scheduler that is killed leaves its connection to the processes that it has forked, and with it the rows that it has
locked: the next one would pass those runs over without end."""

CONNECT_TIMEOUT = 5
"""Seconds to wait for the server."""


@dataclass(frozen=True)
class Databases:
    """Addresses of the databases of one server.

    Attributes:
        server: `postgresql://user:password@host:port`, perhaps with a database (used to create the others) and options.
    """

    server: str

    @property
    def airflow(self) -> str:
        """SQLAlchemy URL of Airflow's metadata; transactions that nobody goes on with end after a minute."""
        parts = urlsplit(self._database("airflow", "postgresql+psycopg2"))
        given = dict(parse_qsl(parts.query))
        options = " ".join(filter(None, (IDLE_IN_TRANSACTION, given.get("options"))))  # the last one counts
        return urlunsplit(parts._replace(query=urlencode(given | {"options": options}, quote_via=quote)))

    @property
    def airflow_async(self) -> str:
        """The same for asyncpg, which knows `sslmode` as `ssl` and refuses libpq's other options."""
        parts = urlsplit(self._database("airflow", "postgresql+asyncpg"))
        options = [("ssl", value) for name, value in parse_qsl(parts.query) if name == "sslmode"]
        return urlunsplit(parts._replace(query=urlencode(options)))

    @property
    def mlflow(self) -> str:
        """MLflow's tracking and registry URI."""
        return self._database("mlflow", "postgresql")

    @property
    def optuna(self) -> str:
        """Optuna's storage URL."""
        return self._database("optuna", "postgresql+psycopg2")

    def plain(self, name: str) -> str:
        """URL of one database, as PostgreSQL's own programs take it."""
        return self._database(name, "postgresql")

    @property
    def address(self) -> str:
        """Host and port, without the password."""
        parts = urlsplit(self.server)
        return f"{parts.hostname}:{parts.port or 5432}"

    def reachable(self) -> bool:
        """Whether the server takes a connection now."""
        try:
            self._connect().close()
        except psycopg2.Error:
            return False
        return True

    def create_missing(self) -> None:
        """Creates those of `NAMES` that the server lacks.

        Raises:
            DatabaseUnavailableError: The server does not answer, refuses the user, or the user may not create databases.
        """
        try:
            connection = self._connect()
        except (psycopg2.Error, ValueError) as error:
            raise DatabaseUnavailableError(f"PostgreSQL at {self.address}: {_one_line(error)}") from None
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT datname FROM pg_database")
                existing = {name for (name,) in cursor.fetchall()}
                for name in NAMES:
                    if name not in existing:
                        _create(cursor, name)
        except psycopg2.Error as error:
            raise DatabaseUnavailableError(
                f"PostgreSQL at {self.address}: {_one_line(error)}; accepted: a user that may create databases, or the "
                f"databases {', '.join(NAMES)} made beforehand"
            ) from None
        finally:
            connection.close()

    def filled(self) -> list[str]:
        """Names those of `NAMES` that hold tables.

        Raises:
            DatabaseUnavailableError: The server does not answer or refuses the user.
        """
        try:
            return [name for name in self._existing() if self._tables(name)]
        except (psycopg2.Error, ValueError) as error:
            raise DatabaseUnavailableError(f"PostgreSQL at {self.address}: {_one_line(error)}") from None

    def empty(self) -> None:
        """Removes every table of `NAMES`, and leaves the databases.

        Raises:
            DatabaseUnavailableError: The server does not answer or refuses the user.
        """
        try:
            for name in self._existing():
                with psycopg2.connect(self.plain(name), connect_timeout=CONNECT_TIMEOUT) as connection:
                    connection.cursor().execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
                connection.close()
        except psycopg2.Error as error:
            raise DatabaseUnavailableError(f"PostgreSQL at {self.address}: {_one_line(error)}") from None

    def _existing(self) -> list[str]:
        connection = self._connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT datname FROM pg_database WHERE datname = ANY(%s)", (list(NAMES),))
                return sorted(name for (name,) in cursor.fetchall())
        finally:
            connection.close()

    def _tables(self, name: str) -> int:
        connection = psycopg2.connect(self.plain(name), connect_timeout=CONNECT_TIMEOUT)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
                return int(cursor.fetchone()[0])
        finally:
            connection.close()

    def _connect(self) -> Any:
        parts = urlsplit(self.server)
        entrance = self.server if parts.path.strip("/") else self._database("postgres", "postgresql")
        return psycopg2.connect(entrance, connect_timeout=CONNECT_TIMEOUT)

    def _database(self, name: str, scheme: str) -> str:
        return urlunsplit(urlsplit(self.server)._replace(scheme=scheme, path=f"/{name}"))


def _create(cursor: Any, name: str) -> None:
    try:
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg2.Error as error:
        if error.pgcode not in (errorcodes.DUPLICATE_DATABASE, errorcodes.UNIQUE_VIOLATION):  # another start was faster
            raise


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
