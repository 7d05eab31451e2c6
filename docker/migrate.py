"""Makes the databases that are missing, and brings the tables of Airflow, MLflow and Optuna up to date."""

import os
import subprocess
import sys

from jobs.workspace import Workspace
from local.databases import Databases
from local.tables import ADDRESSES


def main() -> None:
    """Runs once at each start, before anything that uses the databases."""
    databases = Databases(os.environ["ATOLL_DATABASE_URL"])
    databases.create_missing()
    (Workspace.open().root / "spark-events").mkdir(exist_ok=True)
    if older := sorted(ADDRESSES.keys() & set(databases.filled())):
        subprocess.run([sys.executable, "-m", "local.tables", *older], check=True)
    subprocess.run(["airflow", "db", "migrate"], check=True)


if __name__ == "__main__":
    main()
