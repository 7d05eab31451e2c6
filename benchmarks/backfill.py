"""Whether Airflow keeps up with a long backfill of `label_images`, and how long its pages take meanwhile.

    python -m benchmarks.backfill --days 100

A stack of its own, with a scheduler and Spark as `make up` starts them, labels so many days of a few small images by one
command, two days at once: nearly all of a run is then what Atoll and Airflow cost. Every few seconds the pages are read, and
the age of the scheduler's heartbeat. If the scheduler fell behind as runs pile up, the last runs would take longer than the
first, and their tasks wait longer.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx

from tests import tones
from tests.airflow_rest import ENDED, DagRun
from tests.nights import Nights, started

FIRST = date(2026, 3, 1)
AT_ONCE = 2
LOOK_EVERY = 5.0
"""Seconds between two looks."""

PAGES = ("/days", f"/days/{tones.NAME}", f"/days/{tones.NAME}/{FIRST}")


def main() -> None:
    """Prints rows of JSON: the backfill, each quarter of its runs with their tasks' waits, the scheduler, each page.

    Raises:
        SystemExit: A day failed, or its rows are not what they must be.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=100, help="days to label, 8 or more, whose quarters are compared")
    options = parser.parse_args()
    if options.days < 8:
        parser.error(f"--days {options.days}: accepted: 8 or more")
    days = [FIRST + timedelta(number) for number in range(options.days)]
    with tempfile.TemporaryDirectory() as scratch, started(Path(scratch)) as nights:
        with tones.environment(nights.stack.environment()):
            since = datetime.combine(FIRST - timedelta(1), datetime.min.time(), UTC)
            version = tones.add_version(1, nights.workspace, Path(scratch) / "version", since)
        for day in days:
            tones.write_images(nights.workspace, day)
        began = time.monotonic()
        backfill(nights, days)
        beats, pages = watch(nights, len(days))
        took = time.monotonic() - began
        runs = sorted(nights.runs("label_images", "backfill"), key=lambda run: moment(run.started))
        failed = {str(run.day): run.state for run in runs if run.state != "success"}
        wrong = [line for day in days for line in tones.wrong_rows(nights.workspace, day, version)]
        if failed or wrong:
            raise SystemExit(f"failed: {failed}; wrong: {wrong[:5]}")
        row(days=len(days), at_once=AT_ONCE, minutes=took / 60)
        quarter = len(runs) // 4
        for number in range(4):
            some = runs[number * quarter : (number + 1) * quarter]
            seen, begun = waits(nights, some)
            row(
                quarter=number + 1,
                run_s=statistics.median(map(seconds, some)),
                next_task_seen_after_s=statistics.median(seen),
                slowest=max(seen),
                begun_after_s=statistics.median(begun),
            )
        row(heartbeat_age_s=statistics.median(beats), oldest=max(beats))
        for page, took_s in pages.items():
            again = took_s[1:]
            row(page=page, first_s=took_s[0], looks=len(again), median_s=statistics.median(again), slowest_s=max(again))


def backfill(nights: Nights, days: Sequence[date]) -> None:
    """Asks Airflow for all days, as the run book says."""
    nights.unpause("label_images")
    nights.cli(
        *("backfill", "create", "--dag-id", "label_images", "--max-active-runs", str(AT_ONCE)),
        *("--from-date", str(days[0]), "--to-date", f"{days[-1]}T23:59"),
        *("--dag-run-conf", json.dumps({"image_set": tones.NAME, "model": tones.NAME})),
    )


def watch(nights: Nights, days: int) -> tuple[list[float], dict[str, list[float]]]:
    """Waits until all runs have ended; gives the ages of the heartbeat, and how long each page took, in seconds."""
    beats: list[float] = []
    took: dict[str, list[float]] = defaultdict(list)
    reader = httpx.Client(
        base_url=f"{nights.url}/atoll", headers={"Authorization": f"Bearer {nights.token}"}, timeout=60, trust_env=False
    )
    with reader:
        while sum(run.state in ENDED for run in nights.runs("label_images", "backfill")) < days:
            scheduler = nights.ask("GET", "/monitor/health")["scheduler"]
            beat = datetime.fromisoformat(scheduler["latest_scheduler_heartbeat"])
            beats.append((datetime.now(UTC) - beat).total_seconds())
            for page in PAGES:
                began = time.perf_counter()
                answer = reader.get(page)
                if answer.status_code != httpx.codes.NOT_FOUND:  # as a day that is not there yet
                    answer.raise_for_status()
                    took[page].append(time.perf_counter() - began)
            time.sleep(LOOK_EVERY)
    return beats, took


def seconds(run: DagRun) -> float:
    """Gives how long a run took."""
    return moment(run.ended) - moment(run.started)


def waits(nights: Nights, runs: Sequence[DagRun]) -> tuple[list[float], list[float]]:
    """Gives the seconds from each task's end until the next is queued, and from there until it begins."""
    seen, begun = [], []
    for run in runs:
        tasks = sorted(nights.tasks("label_images", run.id).values(), key=lambda task: moment(task.ended))
        for before, task in itertools.pairwise(tasks):
            seen.append(moment(task.queued) - moment(before.ended))
            begun.append(moment(task.started) - moment(task.queued))
    return seen, begun


def moment(at: datetime | None) -> float:
    """Gives a moment that has come, in seconds."""
    assert at is not None
    return at.timestamp()


def row(**values: float | str) -> None:
    """Prints a row of JSON."""
    print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in values.items()}), flush=True)


if __name__ == "__main__":
    main()
