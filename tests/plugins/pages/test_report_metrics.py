"""The figures of a workspace as a few nights leave it, sent by Airflow's own machinery to a receiver that listens."""

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.labelling.destination import Destination
from jobs.labelling.publish import published_by
from jobs.labelling.reading import image_sets
from jobs.metrics.measures import UNITS, day_measures
from jobs.results import LabelledImageSet
from jobs.workspace import REPOSITORY, Workspace
from tests.conftest import read_json
from tests.metrics_receiver import Receiver, metrics_receiver

TASK = """
import airflow.sdk.serde  # as every task's process does, which sets Airflow's metrics up
from airflow.dag_processing.dagbag import DagBag
dag = DagBag("dags/report_metrics.py").dags["report_metrics"]
print(type(dag.timetable).__name__, dag.task_dict["report"].python_callable())
"""


def result_of(run: str | None) -> LabelledImageSet:
    return LabelledImageSet(
        model_name="digits", model_version=4, graph_sha256="0" * 64, images=160, labelled=155, quarantined=5, reasons={},
        labels="", quarantine="", seconds=9.0, images_per_second=42.5, staged=run,
    )  # fmt: skip


@pytest.fixture(scope="module")
def reported(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[Receiver, str]:
    """What has come at a receiver, and what the task said."""
    newest = image_sets(workspace)["digits"][0]
    made_by = published_by(Destination.of_day(workspace, "digits", newest))[0]
    result_of(made_by).write(workspace.run("label_images", "night", "label_images") / "result.json")
    with metrics_receiver() as receiver:
        settings = {
            "ATOLL_HOME": str(workspace.root),
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'plugins'}",
        }
        done = subprocess.run(
            [sys.executable, "-c", TASK],
            cwd=REPOSITORY,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return receiver, done.stdout.splitlines()[-1]


def test_every_figure_reaches_the_receiver_of_airflows_metrics(reported: tuple[Receiver, str]) -> None:
    receiver, said = reported
    assert {f"airflow.{name}" for name in UNITS} <= receiver.names
    assert "airflow.serde.load_serializers" in receiver.names, "one of Airflow's own"
    assert said.startswith("CronDataIntervalTimetable "), "it has a schedule where metrics are sent"
    assert int(said.split()[-1]) > len(UNITS)


def test_the_figures_are_those_of_the_newest_study_and_day_and_of_the_registry(
    reported: tuple[Receiver, str], workspace: Workspace
) -> None:
    receiver, _ = reported
    gauge = receiver.gauge
    trials = {
        state: gauge("airflow.atoll.study.trials", experiment="digits", state=state)
        for state in ("complete", "paused", "failed")
    }
    boards = [(path.stat().st_mtime_ns, read_json(path)) for path in workspace.root.glob("studies/*/leaderboard.json")]
    newest = max((one for one in boards if one[1]["experiment"]["name"] == "digits"), key=lambda one: one[0])[1]
    found = Counter(trial["state"] for trial in newest["trials"])  # other tests of these pages write studies, too
    assert trials == {state: found[state] for state in trials}
    assert sum(trials.values()) > 0
    assert 0.9 < gauge("airflow.atoll.study.best_validation_accuracy", experiment="digits") < 1
    assert gauge("airflow.atoll.day.images", image_set="digits", outcome="labelled") == 155
    assert gauge("airflow.atoll.day.images", image_set="digits", outcome="quarantined") == 4
    assert gauge("airflow.atoll.day.speed", image_set="digits") == 42.5
    assert gauge("airflow.atoll.gate.decisions", model="digits", verdict="passed") == 3
    assert gauge("airflow.atoll.gate.decisions", model="digits", verdict="refused") == 1
    assert gauge("airflow.atoll.champion.version", model="digits") == 4


def test_a_day_is_as_old_as_the_time_since_it_ended(workspace: Workspace) -> None:
    now = datetime(2026, 3, 13, 6, tzinfo=UTC)
    ages = {one.tags["image_set"]: one.value for one in day_measures(workspace, now) if one.name == "atoll.day.age"}
    assert ages["digits"] == 6 * 3600


def test_each_figure_stands_in_the_run_book_with_its_unit() -> None:
    page = Path(REPOSITORY / "docs" / "operations.md").read_text()
    assert [name for name, unit in UNITS.items() if f"| `{name}` | {unit} |" not in page] == []
