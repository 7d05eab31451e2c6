"""DAGs that the tests of the local stack trigger."""

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import CronDataIntervalTimetable, dag, task


@dag(schedule=None)
def steps():
    @task
    def count():
        for number in range(3):
            sys.stdout.write(f"progress: {number + 1} of 3\n")
        return {"name": "digits", "accuracy": 0.5}

    @task
    def after(counted):
        return counted["accuracy"]

    after(count())


@dag(schedule=None)
def breaks():
    @task
    def stumble():
        sys.stdout.write("about to stumble\n")
        raise ValueError("the floor is wet")

    stumble()


@dag(schedule=None, params={"file": ""})
def naps():
    @task
    def nap(params=None):
        # As spark-submit's JVM and driver may: in a session of its own, deaf to SIGTERM.
        command = ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"]
        sleeper = subprocess.Popen(command, start_new_session=True)
        Path(params["file"]).write_text(str(sleeper.pid))
        sleeper.wait()

    nap()


@dag(schedule=None, max_active_runs=1)
def one_at_a_time():
    @task
    def rest():
        time.sleep(5)

    rest()


@dag(
    schedule=CronDataIntervalTimetable("0 1 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
)
def nightly():
    @task
    def work():
        sys.stdout.write("done\n")

    work()


steps()
breaks()
nightly()
one_at_a_time()
naps()
