"""Bringing the tables of MLflow and of Optuna up to date, which both refuse to work with tables of an older version.

`python -m local.tables mlflow optuna` does it, in a process of its own, since importing the two takes seconds. Their addresses
are taken from the environment, as jobs take them.
"""

import os
import sys
from collections.abc import Callable

from jobs.errors import AtollError
from local.errors import TablesTooNewError

ADDRESSES = {"mlflow": "MLFLOW_TRACKING_URI", "optuna": "ATOLL_OPTUNA_STORAGE"}
"""Which variable names the database of which."""


def main(names: list[str]) -> int:
    """Upgrades the named ones; gives the exit status."""
    try:
        for name in names:
            upgrade(name, os.environ[ADDRESSES[name]])
    except AtollError as error:
        print(f"atoll: error: {error}", file=sys.stderr)
        return 1
    return 0


def upgrade(name: str, url: str) -> None:
    """Brings the tables of one database to what is installed; may be repeated.

    Args:
        name: A key of `ADDRESSES`.
        url: SQLAlchemy's address of a database that has tables.

    Raises:
        TablesTooNewError: A later version has made them.
    """
    from alembic.util import CommandError

    upgrades: dict[str, Callable[[str], None]] = {"mlflow": _upgrade_mlflow, "optuna": _upgrade_optuna}
    try:
        upgrades[name](url)
    except CommandError as error:
        raise TablesTooNewError(
            f"{name}: its tables are of a later version than is installed ({' '.join(str(error).split())}); accepted: that "
            "version, or the back-up that was made before the upgrade"
        ) from None


def _upgrade_mlflow(url: str) -> None:
    from mlflow.db import (
        upgrade as command,  # the program's own, called here so that the password is on no command line
    )

    command.callback(url)


def _upgrade_optuna(url: str) -> None:
    import optuna

    optuna.storages.RDBStorage(url, skip_compatibility_check=True).upgrade()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
