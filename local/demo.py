"""The demonstration: tune a model on scikit-learn's digits, then label images with it, all through Airflow."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from rich.console import Console

from jobs.datasets.dataset import Dataset
from jobs.errors import InvalidArgumentError
from jobs.labelling.arrival import COMPLETE_MARKER
from jobs.results import LabelledImageSet, PreparedDataset, Promotion, SelectedModel, TunedStudy
from jobs.tuning.leaderboard import read_leaderboard
from jobs.workspace import DAYS, Workspace
from local.environment import USER
from local.processes import ProcessRecord
from local.progress import Display, open_display
from local.rest import Airflow, Night
from local.runs import follow, wait_for_dags
from local.settings import Settings
from local.stack import Stack
from local.summary import Summary

TUNE = "tune_model"
LABEL = "label_images"

NAME = "digits"
"""The experiment, the model and the image set."""

DAMAGED = 6
"""Files among the images that no one can label."""


@dataclass(frozen=True)
class TunedModel:
    """What the run of `tune_model` gave."""

    dataset: PreparedDataset
    study: TunedStudy
    selected: SelectedModel
    promotion: Promotion


def run_demo(settings: Settings, airflow_url: str | None = None) -> None:
    """Runs the demonstration and prints its summary; stops everything that it started, however it ends.

    Args:
        settings: The stack to start, or the workspace of the one that runs.
        airflow_url: Address of an Airflow that runs; its password is in `ATOLL_ADMIN_PASSWORD`. None starts a stack.

    Raises:
        AtollError: A part does not start, or a run fails.
    """
    if settings.workspace.object_days:
        raise InvalidArgumentError(f"{DAYS}: the demonstration writes its images into the workspace; accepted: unset")
    began = time.monotonic()
    console = Console()
    with open_display(console) as display, _airflow(settings, airflow_url, display) as (airflow, since):
        wait_for_dags(airflow, (TUNE, LABEL), since)
        tuned = _tune(airflow, display)
        # A DAG that nobody has used yet begins with last night as soon as it is not paused. The demonstration takes its place.
        night = airflow.first_night(LABEL)
        day = (night.start if night else datetime.now(UTC)).astimezone(UTC).date()
        truth = _write_images(settings.workspace, day, tuned.dataset)
        display.say(f"{len(truth)} images that no split holds, and {DAMAGED} damaged files, are the image set of {day}")
        labelled = _label(airflow, day, night, display)
        display.say("counting the labels that are right")
        summary = Summary(
            leaderboard=read_leaderboard(Path(tuned.study.folder)),
            study=tuned.study,
            selected=tuned.selected,
            promotion=tuned.promotion,
            labelled=labelled,
            right=count_right(Path(labelled.labels), truth),
            places=_places(tuned, labelled, None if airflow_url else settings.logs),
            seconds=time.monotonic() - began,
        )
    for line in ("", *summary.lines()):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def count_right(labels: Path, truth: dict[str, str]) -> int:
    """Counts the labels that equal the true class.

    Args:
        labels: Folder of Parquet files with the columns `image` and `label`.
        truth: The true class of each image, by file name.
    """
    from pyarrow import dataset

    table = dataset.dataset(labels, format="parquet", partitioning=None).to_table(columns=["image", "label"])
    rows = zip(table["image"].to_pylist(), table["label"].to_pylist(), strict=True)
    return sum(truth.get(Path(image).name) == str(label) for image, label in rows)


def _tune(airflow: Airflow, display: Display) -> TunedModel:
    run = follow(airflow, TUNE, {"experiment": NAME}, display, airflow.first_night(TUNE))
    return TunedModel(
        dataset=airflow.result(run, "prepare_dataset", PreparedDataset),
        study=airflow.result(run, "tune_model", TunedStudy),
        selected=airflow.result(run, "select_model", SelectedModel),
        promotion=airflow.result(run, "promote_model", Promotion),
    )


def _label(airflow: Airflow, day: date, night: Night | None, display: Display) -> LabelledImageSet:
    # A night has its day; were it said as well, a backfill that does the night again would be refused.
    conf = {"model": NAME, "model_version": None, "image_set": NAME, "day": None if night else day.isoformat()}
    run = follow(airflow, LABEL, conf, display, night)
    return airflow.result(run, "label_images", LabelledImageSet)


def _write_images(workspace: Workspace, day: date, prepared: PreparedDataset) -> dict[str, str]:
    """Writes the image set of a day; gives the true class of each good image."""
    from jobs.datasets.sample_images import write_digits_image_set

    manifest = Dataset.model_validate_json((Path(prepared.folder) / "dataset.json").read_text())
    folder = workspace.image_set(NAME, day)
    truth = write_digits_image_set(folder, manifest.held_out, DAMAGED)
    (folder / COMPLETE_MARKER).touch()
    return {image: manifest.classes[number] for image, number in truth.items()}


def _places(tuned: TunedModel, labelled: LabelledImageSet, logs: Path | None) -> list[tuple[str, str]]:
    places = [
        ("data set", tuned.dataset.folder),
        ("study", tuned.study.folder),
        ("report, for a browser", tuned.study.report),
        ("frozen graph", tuned.selected.graph),
        ("labels", labelled.labels),
        ("quarantine", labelled.quarantine),
    ]
    if logs is not None:  # of the stack that has just been stopped
        places += [("logs", str(logs)), ("to look around in Airflow and MLflow", "make up")]
    return [
        (what, os.path.relpath(where) if Path(where).is_relative_to(Path.cwd()) else where) for what, where in places
    ]


@contextmanager
def _airflow(settings: Settings, url: str | None, display: Display) -> Iterator[tuple[Airflow, datetime | None]]:
    """Gives Airflow, and since when it must have read the DAGs; of a stack of our own where no address is given."""
    if url is None:
        with _stack(settings, display) as started:
            yield started
        return
    airflow = Airflow(url, USER, os.environ.get("ATOLL_ADMIN_PASSWORD", ""))
    try:
        yield airflow, None
    finally:
        airflow.close()


@contextmanager
def _stack(settings: Settings, display: Display) -> Iterator[tuple[Airflow, datetime | None]]:
    """Gives Airflow, and since when it must have read the DAGs; stops what it started."""
    stack = Stack(settings, display.say)
    began = datetime.now(UTC)
    state, started = stack.up(owner=ProcessRecord.of(os.getpid()), mlflow=False)
    try:
        display.say(f"Airflow is up at {state.airflow_url}" + ("" if started else ", as it was before"))
        airflow = Airflow(state.airflow_url, USER, stack.secrets.admin_password)
        try:
            yield airflow, began if started else None
        finally:
            airflow.close()
    finally:
        if started:
            display.say("stopping everything")
            stack.down()
