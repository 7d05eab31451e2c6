"""Run inside a container by the tests of faults: makes versions and days of `tones.py`, and reads what is published.

python probe.py version NUMBER | images DAY | wrong DAY,DAY,... VERSION | staged DAY | watch DAY | board | connections
"""

import json
import os
import sys
import time
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import mkdtemp

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from jobs.registry.versions import ModelVersion
from jobs.workspace import Workspace
from tests import tones

WORKSPACE = Workspace.open()

STOP = Path("/tmp/stop-watching")


def version(number: str) -> object:
    """Registers a version and makes it champion."""
    folder = Path(mkdtemp()) / "version"
    return asdict(tones.add_version(int(number), WORKSPACE, folder, datetime.now(UTC)))


def images(day: str) -> object:
    """Writes the image set of a day."""
    tones.write_images(WORKSPACE, date.fromisoformat(day))
    return None


def wrong(days: str, version: str) -> object:
    """Says what is wrong with published days."""
    found: list[str] = []
    for day in days.split(","):
        found += tones.wrong_rows(WORKSPACE, date.fromisoformat(day), ModelVersion(**json.loads(version)))
        found += [f"{day}: left over: {name}" for name in staged(day)]
    return found


def staged(day: str) -> list[str]:
    """Gives what is staged for a day out of readers' sight."""
    folder = WORKSPACE.labels(tones.NAME, date.fromisoformat(day)).parent
    return sorted(path.name for path in folder.glob(f".ds={day}.staged-*"))


def watch(day: str) -> object:
    """Reads the labels of a day again and again until told to stop; gives each number of rows that was ever seen."""
    import pyarrow.parquet as pq

    STOP.unlink(missing_ok=True)
    folder = WORKSPACE.labels(tones.NAME, date.fromisoformat(day))
    seen: dict[str, int] = {}
    while not STOP.exists():
        try:
            rows = str(pq.read_table(folder, partitioning=None).num_rows) if folder.exists() else "none"
        except FileNotFoundError:  # swapped away between two looks
            continue
        except OSError as error:
            rows = f"{type(error).__name__}: {error}"
        seen[rows] = seen.get(rows, 0) + 1
        time.sleep(0.02)
    return seen


def board() -> object:
    """Gives the runs of each trial that is complete, of the study that was begun last."""
    boards = (WORKSPACE.root / "studies").glob("*/leaderboard.json")
    latest = max(boards, key=lambda path: path.parent.stat().st_ctime_ns, default=None)
    trials = json.loads(latest.read_text())["trials"] if latest else []
    return {str(trial["number"]): trial["runs"] for trial in trials if trial["state"] == "complete"}


def connections() -> object:
    """Counts the connections to PostgreSQL."""
    import psycopg2

    with psycopg2.connect(os.environ["MLFLOW_TRACKING_URI"]) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from pg_stat_activity where datname is not null")
        return cursor.fetchone()[0]


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    sys.stdout.write(json.dumps({"answer": globals()[command](*arguments)}) + "\n")
