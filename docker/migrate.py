"""Makes the databases that are missing, and brings Airflow's tables up to date."""

import os
import subprocess

from jobs.workspace import Workspace
from local.databases import Databases


def main() -> None:
    """Runs once at each start, before anything that uses the databases."""
    Databases(os.environ["ATOLL_DATABASE_URL"]).create_missing()
    (Workspace.open().root / "spark-events").mkdir(exist_ok=True)
    subprocess.run(["airflow", "db", "migrate"], check=True)


if __name__ == "__main__":
    main()
