"""Many nights on a real scheduler with real Spark: by their schedule, as backfills, from Airflow's own forms, and back.

Run with `ATOLL_TEST_DAYS=3` (or 30) in the environment; without it they are skipped, since they take minutes for each day.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from jobs.datasets.sample_images import write_digits_image_set
from jobs.labelling.arrival import COMPLETE_MARKER
from jobs.registry.champions import champion_at, champion_history
from jobs.registry.versions import ModelVersion
from tests import airflow_ui, tones
from tests.airflow_rest import RUNS, DagRun
from tests.conftest import read_json
from tests.local.support import poll
from tests.nights import Nights, last_day, started

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DAYS = int(os.environ.get("ATOLL_TEST_DAYS", "0"))
"""How many days are labelled again; 3 at least."""

pytestmark = [
    pytest.mark.spark,
    pytest.mark.stack,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(DAYS < 3, reason="takes long: set ATOLL_TEST_DAYS to the number of days, 3 or more"),
]

FIRST = date(2026, 3, 1)
EACH = [FIRST + timedelta(days=number) for number in range(DAYS)]
MISSING = FIRST + timedelta(days=DAYS // 2)
LATEST = 300 + 120 * DAYS
"""Seconds until all of the days must be there."""

CONF = {"image_set": tones.NAME, "model": tones.NAME, "model_policy": "as_of"}


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    """The stack, with three versions of a model that were promoted before, early in, and late in the days."""
    folder = tmp_path_factory.mktemp("nights")
    with started(folder) as running, tones.environment(running.stack.environment()):
        yield running


@pytest.fixture(scope="module")
def versions(nights: Nights, tmp_path_factory: pytest.TempPathFactory) -> list[ModelVersion]:
    folder = tmp_path_factory.mktemp("versions")
    since = [FIRST - timedelta(days=9), EACH[DAYS // 3], EACH[2 * DAYS // 3]]
    moments = [datetime.combine(day, time(23, 30), UTC) for day in since]
    return [
        tones.add_version(number, nights.workspace, folder / str(number), moment)
        for number, moment in enumerate(moments, 1)
    ]


@dataclass
class Backfilled:
    """What a backfill by the command line left, and its repair.

    Attributes:
        runs: The run of each day, as it ended first.
        before: What readers saw before the repair.
        after: What they saw after it.
        repaired: The run of the missing day after the repair.
        failed_task: The task of that run which failed, before the repair.
        failed_log: What it said.
    """

    runs: dict[date, DagRun]
    before: dict[str, list[dict]]
    after: dict[str, list[dict]]
    repaired: DagRun
    failed_task: str
    failed_log: str


@pytest.fixture(scope="module")
def backfilled(nights: Nights, versions: list[ModelVersion]) -> Backfilled:
    """Labels all days by one command, two at once, of which one has no images; then gives it its images and clears it."""
    for day in EACH:
        if day != MISSING:
            tones.write_images(nights.workspace, day)
    nights.unpause("label_images")
    said = nights.cli(
        *("backfill", "create", "--dag-id", "label_images", "--max-active-runs", "2"),
        *("--from-date", str(EACH[0]), "--to-date", f"{EACH[-1]}T23:59"),
        *("--dag-run-conf", json.dumps(CONF)),
    )
    assert "Error" not in said, said
    runs = await_backfill(nights)
    before = tones.published(nights.workspace)
    failed = runs[MISSING]
    task = next(name for name, one in nights.tasks("label_images", failed.id).items() if one.state == "failed")
    log = nights.log_of("label_images", failed.id, task)
    tones.write_images(nights.workspace, MISSING)
    nights.clear("label_images", failed.id)
    (repaired,) = nights.end("label_images", failed.id)
    return Backfilled(runs, before, tones.published(nights.workspace), repaired, task, log)


def await_backfill(nights: Nights, since: datetime | None = None) -> dict[date, DagRun]:
    """Waits until the run of each day has ended, where `since` is given after it; gives them by day."""

    def ended() -> dict[date, DagRun]:
        found = {run.day: run for run in nights.runs("label_images", "backfill") if run.day}
        settled = [
            run for run in found.values() if run.ended and run.state in ("success", "failed") and _after(run, since)
        ]
        return found if len(settled) == DAYS else {}

    return poll(ended, LATEST, RUNS)  # type: ignore[return-value]


def _after(run: DagRun, since: datetime | None) -> bool:
    return since is None or (run.started is not None and run.started >= since)


def version_of(day: date, versions: list[ModelVersion]) -> ModelVersion:
    """Gives the version that was champion when a day's interval ended."""
    return versions[0 if day < EACH[DAYS // 3] else 1 if day < EACH[2 * DAYS // 3] else 2]


def test_the_schedule_makes_the_night_of_the_last_day_once_its_dags_are_resumed(nights: Nights) -> None:
    nights.unpause("tune_model")
    (tuned,) = poll(lambda: [run for run in nights.runs("tune_model", "scheduled") if run.state == "success"], 600)
    assert tuned.day == last_day(nights)
    folder = nights.workspace.image_set("digits", last_day(nights))
    truth = write_digits_image_set(folder, range(1700, 1720), 1)
    (folder / COMPLETE_MARKER).touch()
    nights.unpause("label_images")
    (labelled,) = poll(lambda: [run for run in nights.runs("label_images", "scheduled") if run.state == "success"], 600)
    assert labelled.day == last_day(nights)
    rows = pq.read_table(nights.workspace.labels("digits", last_day(nights))).to_pylist()
    assert {row["image"] for row in rows} == truth.keys()
    assert {row["model_version"] for row in rows} == {1}
    assert sum(row["label"] == str(truth[row["image"]]) for row in rows) >= 15
    assert len(nights.runs("tune_model", "scheduled")) == 1


def test_one_command_labels_each_day_of_a_range_several_at_once(backfilled: Backfilled) -> None:
    assert sorted(backfilled.runs) == EACH
    spans = sorted((run.started, run.ended) for run in backfilled.runs.values() if run.started and run.ended)
    at_once = max(sum(began <= start < ended for began, ended in spans) for start, _ in spans)
    assert at_once == 2


def test_a_day_without_images_fails_alone_and_says_so(backfilled: Backfilled) -> None:
    assert {day: run.state for day, run in backfilled.runs.items() if run.state != "success"} == {MISSING: "failed"}
    assert backfilled.failed_task == "wait_for_images"
    assert f"ds={MISSING}: no images by" in backfilled.failed_log
    assert "When they have arrived, clear this task" in backfilled.failed_log


def test_the_missing_day_is_repaired_alone(backfilled: Backfilled) -> None:
    assert backfilled.repaired.state == "success"
    added = backfilled.after.keys() - backfilled.before.keys()
    assert added
    assert {name.split("/")[1] for name in added} == {f"ds={MISSING}"}
    assert {name: backfilled.after[name] for name in backfilled.before} == backfilled.before


def test_each_row_of_each_day_is_what_the_champion_of_that_day_gives(
    nights: Nights, versions: list[ModelVersion], backfilled: Backfilled
) -> None:
    wrong = [line for day in EACH for line in tones.wrong_rows(nights.workspace, day, version_of(day, versions))]
    assert wrong == []
    used = {row["model_version"] for name, rows in backfilled.after.items() for row in rows if "labels" in name}
    assert used == {1, 2, 3}
    history = champion_history(tones.NAME, nights.workspace)
    assert [change.version for change in history] == [1, 2, 3]
    assert champion_at(history, datetime.now(UTC)).version == 3


def test_each_run_has_written_its_own_day_only(nights: Nights, backfilled: Backfilled) -> None:
    for day, run in backfilled.runs.items():
        result = read_json(nights.workspace.run("label_images", run.id, "label_images") / "result.json")
        assert Path(result["labels"]) == nights.workspace.labels(tones.NAME, day)
        assert Path(result["quarantine"]) == nights.workspace.quarantine(tones.NAME, day)
        assert result["source"].endswith(f"ds={day}")
        made_by = {(Path(result[kind]) / "_run").read_text() for kind in ("labels", "quarantine")}
        assert made_by == {result["staged"]}
    hidden = [path.name for path in (nights.workspace.root / "labels" / tones.NAME).iterdir() if ".staged" in path.name]
    assert hidden == []


def test_the_browsers_backfill_of_the_same_days_changes_nothing_but_the_moment(
    nights: Nights, backfilled: Backfilled, browser: "Browser"
) -> None:
    moments = labelled_at(nights)
    # Airflow takes one backfill of a DAG at a time, and notices some seconds after its last run that one is over.
    known = "/backfills?dag_id=label_images"
    poll(lambda: all(one["completed_at"] for one in nights.ask("GET", known)["backfills"]), 180, RUNS)
    since = datetime.now(UTC)
    with airflow_ui.logged_in(browser, nights.url, nights.token) as page:
        dialog = airflow_ui.open_form(page, nights.url, "label_images")
        airflow_ui.choose_backfill(dialog)
        airflow_ui.fill(
            page, dialog, "Model", {"model": tones.NAME, "model_policy": "who was champion when the day ended"}
        )
        airflow_ui.fill(page, dialog, "Images", {"image_set": tones.NAME})
        airflow_ui.create_backfill(page, dialog, EACH[0], EACH[-1], runs=2, reprocess="All Runs")
    runs = await_backfill(nights, since)
    assert {run.state for run in runs.values()} == {"success"}
    assert all(run.conf["model_policy"] == "as_of" for run in runs.values())
    assert tones.published(nights.workspace) == backfilled.after
    assert all(after > before for before, after in zip(moments, labelled_at(nights), strict=True))


def labelled_at(nights: Nights) -> list[datetime]:
    """Gives when each row was labelled, by day and image."""
    return [
        row["labelled_at"]
        for day in EACH
        for row in sorted(
            pq.read_table(nights.workspace.labels(tones.NAME, day)).to_pylist(), key=lambda row: row["image"]
        )
    ]


def test_tuning_with_the_forms_fields_filled_in_does_what_they_say(nights: Nights, browser: "Browser") -> None:
    with airflow_ui.logged_in(browser, nights.url, nights.token) as page:
        dialog = airflow_ui.open_form(page, nights.url, "tune_model")
        airflow_ui.fill(page, dialog, "Run Parameters", {"experiment": "digits"})
        search = "Search, where it differs from the experiment file"
        asked = {"strategy": "sparse: even cover", "trials": "3", "epochs": "1", "seed": "7"}
        airflow_ui.fill(page, dialog, search, asked)
        airflow_ui.fill(page, dialog, "Promotion", {"promote": False})
        airflow_ui.submit_run(page, dialog)
    (run,) = nights.runs("tune_model", "manual")
    (ended,) = nights.end("tune_model", run.id)
    assert ended.state == "success"
    study = nights.result("tune_model", run.id, "tune_model")
    board = read_json(Path(study["folder"]) / "leaderboard.json")
    experiment = board["experiment"]
    assert (experiment["strategy"], experiment["seed"], experiment["budget"]["epochs"]) == ("sparse", 7, 1)
    assert len(board["trials"]) == 3
    promotion = nights.result("tune_model", run.id, "promote_model")
    assert promotion["promoted"] is False


def test_the_pages_button_brings_an_earlier_version_back(
    nights: Nights, backfilled: Backfilled, browser: "Browser"
) -> None:
    nights.unpause("roll_back_model")
    with airflow_ui.logged_in(browser, nights.url, nights.token) as page:
        page.goto(f"{nights.url}/plugin/models")
        frame = page.frame_locator("iframe")
        frame.get_by_role("link", name=tones.NAME).first.click()
        frame.get_by_label("Version").select_option("2")
        frame.get_by_label("Why").fill("names white black")
        frame.get_by_role("button", name="Make it champion").click()
        frame.get_by_text("Rolled back: version 2 is champion.").wait_for(timeout=60_000)
        assert "version 2" in frame.locator(".facts").inner_text()
        newest = frame.locator("section", has_text="Champions").locator("tbody tr").first.inner_text()
    assert all(word in newest for word in ("2", "3", "admin", "names white black")), newest
    (run,) = nights.runs("roll_back_model")
    assert run.state == "success"
