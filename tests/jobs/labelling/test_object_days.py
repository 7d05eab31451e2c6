"""Days in an object store are published all or nothing, whoever is killed and whoever else is at work."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import object_store
from jobs.errors import AlreadyRunningError, InvalidArgumentError, PublishError, QualityError
from jobs.labelling.arrival import look
from jobs.labelling.day_check import check_day
from jobs.labelling.object_destination import ObjectDestination
from jobs.labelling.object_staging import StagedObjects
from jobs.labelling.part_files import write_part
from jobs.labelling.partition import PartFiles
from jobs.labelling.publication import publication_into, publication_of_day, publish_day
from jobs.labelling.quality import QualityRule
from jobs.labelling.reading import Wanted, day_stamp, image_sets, read_day, read_quarantine
from jobs.labelling.recent import Recent
from jobs.labelling.recent import published as read_again
from jobs.labelling.row_files import KINDS, published_rows
from jobs.labelling.schema import (
    NOTHING_CARRIED,
    FeaturedImage,
    LabelledImage,
    ModelStamp,
    QuarantinedImage,
    ScoredLabel,
    features_table,
    labels_table,
    quarantine_table,
)
from jobs.labelling.sources.folder import FolderOfImages
from jobs.labelling.trends import day_figures
from jobs.object_place import ObjectPlace
from jobs.results import LabelledImageSet, LabellingPlan
from jobs.workspace import Workspace
from tests.conftest import REPOSITORY
from tests.object_server import ACCESS_KEY, SECRET_KEY, kill_client, writes_pointer

DAY = date(2026, 3, 10)
MODEL = ModelStamp("birds", 3, "ab" * 32)
PART = "part-00000-1.parquet"


@pytest.fixture
def workspace(store, tmp_path):
    return Workspace(tmp_path, ObjectPlace.parse(f"s3://{store.new_bucket()}/atoll", "days"))


def stage_rows(workspace, labelled, quarantined=(), day=DAY, label="robin"):
    """Leaves what the executors leave."""
    staged = StagedObjects.begin(ObjectDestination.of_day(workspace, "garden", day))
    rows = [LabelledImage(name, (ScoredLabel(label, 0.5),), 3, 2, datetime.now(UTC)) for name in labelled]
    write_part(labels_table(rows, MODEL), staged.labels / PART)
    if quarantined:
        bad = [QuarantinedImage(name, "empty", "zero bytes") for name in quarantined]
        write_part(quarantine_table(bad), staged.quarantine / PART)
    return staged, [PartFiles(PART, PART if quarantined else None)]


def publish_rows(workspace, labelled, quarantined=(), day=DAY, label="robin"):
    staged, parts = stage_rows(workspace, labelled, quarantined, day, label)
    return staged.publish(parts, [*labelled, *quarantined], NOTHING_CARRIED)


def published(workspace):
    """What a reader of the pointer sees."""
    return tuple(
        sorted(pa.concat_tables(published_rows(workspace, kind, "garden", DAY).tables(["image"]))["image"].to_pylist())
        for kind in KINDS
    )


def plainly(workspace):
    """What a reader of Parquet sees that knows of no pointer; one request gives it a whole file."""
    places = workspace.labels("garden", DAY), workspace.quarantine("garden", DAY)
    files = [object_store.read(file.place) for place in places for file in object_store.listing(place)]
    tables = (pq.read_table(pa.BufferReader(file.content)) for file in files)
    return tuple(sorted(table["image"].to_pylist()) for table in tables)


def runs(workspace):
    return object_store.folders(ObjectDestination.of_day(workspace, "garden", DAY).runs)


def test_a_day_is_published_for_every_reader_and_running_it_again_replaces_it(workspace):
    counts = publish_rows(workspace, ["a", "b"], ["c"])
    assert (counts.labelled, counts.reasons) == (2, {"empty": 1})
    assert published(workspace) == plainly(workspace) == (["a", "b"], ["c"])
    before = day_stamp(workspace, "garden", DAY)
    publish_rows(workspace, ["d"])
    assert published(workspace) == plainly(workspace) == (["d"], [])
    assert day_stamp(workspace, "garden", DAY) != before
    (run,) = runs(workspace)
    below = ObjectDestination.of_day(workspace, "garden", DAY).run(run)
    assert {found.place.below(below) for found in object_store.listing(below)} == {
        "begun", "sealed.json", f"labels/part-00000-{run}.parquet", f"quarantine/part-00000-{run}.parquet",
    }  # fmt: skip


def test_a_reader_that_looks_again_and_again_never_sees_half_a_day(workspace):
    days = [([f"{night}-{image}" for image in range(30)], [f"{night}-bad"]) for night in range(6)]
    publish_rows(workspace, *days[0])
    seen, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            seen.append((read_day(workspace, "garden", DAY).table["image"].to_pylist(), []))
            seen.append(([], read_quarantine(workspace, "garden", DAY)["image"].to_pylist()))
            labels, quarantine = plainly(workspace)
            seen.extend([(labels, []), ([], quarantine)])

    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(read)
        try:
            for day in days[1:]:
                publish_rows(workspace, *day)
        finally:
            stop.set()
        reading.result(60)
    labels = [sorted(one) for one, _ in seen if one]
    quarantine = [one for _, one in seen if one]
    assert len(labels) == len(quarantine) == len(seen) / 2 > 4
    assert all(one in [sorted(day[0]) for day in days] for one in labels)
    assert all(one in [day[1] for day in days] for one in quarantine)
    assert len({tuple(one) for one in labels}) > 1


def test_a_reader_whose_files_go_after_it_read_the_pointer_reads_the_new_day(workspace):
    publish_rows(workspace, ["old"])
    found = []

    def find_and_be_overtaken():
        found.append(published_rows(workspace, "labels", "garden", DAY))
        if len(found) == 1:
            publish_rows(workspace, ["new"])
        return found[-1]

    def read(files):
        return [image for table in files.tables(["image"]) for image in table["image"].to_pylist()], 1

    assert read_again(Recent(1), find_and_be_overtaken, workspace.labels("garden", DAY), read) == ["new"]
    assert len(found) == 2


def test_of_two_runs_of_a_day_the_first_to_end_wins_and_the_other_is_told(workspace):
    publish_rows(workspace, ["old"])
    slow, its_parts = stage_rows(workspace, ["a"])
    fast, other_parts = stage_rows(workspace, ["b"])
    sealed, sealed_parts = stage_rows(workspace, ["c"])
    sealed.seal(sealed_parts, ["c"], NOTHING_CARRIED)
    fast.publish(other_parts, ["b"], NOTHING_CARRIED)
    with pytest.raises(AlreadyRunningError, match="another run was published since this run began"):
        slow.publish(its_parts, ["a"], NOTHING_CARRIED)
    slow.abandon()
    with pytest.raises(PublishError, match="is gone, as when the day was labelled again since"):
        publication_of_day(workspace, "garden", DAY).publish_staged(sealed.run)
    assert published(workspace) == plainly(workspace) == (["b"], [])
    assert runs(workspace) == [fast.run]


@pytest.mark.parametrize("first_time", [True, False], ids=["first publication", "replacement"])
def test_of_runs_that_publish_at_the_same_moment_exactly_one_wins(workspace, store, first_time):
    if not first_time:
        publish_rows(workspace, ["old"])
    staged = [stage_rows(workspace, [str(number)]) for number in range(3)]
    together = threading.Barrier(3, timeout=300)

    def run(number):
        together.wait()
        try:
            staged[number][0].publish(staged[number][1], [str(number)], NOTHING_CARRIED)
        except AlreadyRunningError:
            return None
        return str(number)

    with ThreadPoolExecutor(3) as threads:
        winners = [one for one in threads.map(run, range(3)) if one]
    assert len(winners) == 1
    assert published(workspace) == plainly(workspace) == (winners, [])


DRIVER = """
import sys
from pathlib import Path
from jobs.object_place import ObjectPlace
from jobs.workspace import Workspace
from tests.jobs.labelling.test_object_days import publish_rows
publish_rows(Workspace(Path(sys.argv[1]), ObjectPlace.parse(sys.argv[2], "days")), ["new"], ["bad"])
"""


def run_driver_that_is_killed(workspace, store, hook):
    with store.hooked(hook):
        command = [sys.executable, "-c", DRIVER, str(workspace.root), str(workspace.object_days)]
        assert subprocess.run(command, cwd=REPOSITORY, timeout=600, check=False).returncode == -9


def test_a_driver_killed_between_its_files_and_the_pointer_changes_nothing_and_the_next_run_sweeps(workspace, store):
    publish_rows(workspace, ["old"])

    def kill_before(environ, answer):
        if writes_pointer(environ):
            return kill_client(environ)
        return answer()

    run_driver_that_is_killed(workspace, store, kill_before)
    assert published(workspace) == plainly(workspace) == (["old"], [])
    assert len(runs(workspace)) == 2
    publish_rows(workspace, ["new"], ["bad"])
    assert published(workspace) == plainly(workspace) == (["new"], ["bad"])
    assert len(runs(workspace)) == 1


def test_a_driver_killed_after_the_pointer_has_published_and_the_next_run_completes_it(workspace, store):
    publish_rows(workspace, ["old"])

    def kill_after(environ, answer):
        answered = answer()
        if writes_pointer(environ):
            kill_client(environ)
        return answered

    run_driver_that_is_killed(workspace, store, kill_after)
    assert published(workspace) == (["new"], ["bad"])
    assert plainly(workspace) == (["old"], []), "the old day, whole"
    staged = StagedObjects.begin(ObjectDestination.of_day(workspace, "garden", DAY))
    assert plainly(workspace) == (["new"], ["bad"])
    staged.abandon()
    assert published(workspace) == (["new"], ["bad"])


def test_a_pointer_whose_answer_was_lost_is_known_to_be_ones_own(workspace, store):
    lost = []

    def lose_the_first_answer(environ, answer):
        answered = answer()
        if writes_pointer(environ) and not lost:
            return lost.append(environ["PATH_INFO"])
        return answered

    with store.hooked(lose_the_first_answer):
        publish_rows(workspace, ["a"])
    assert lost
    assert published(workspace) == plainly(workspace) == (["a"], [])


def test_rows_that_do_not_add_up_are_refused_and_leave_nothing(workspace):
    publish_rows(workspace, ["old"])
    staged, parts = stage_rows(workspace, ["a"])
    with pytest.raises(PublishError, match="missing: b; nothing was published"):
        staged.publish(parts, ["a", "b"], NOTHING_CARRIED)
    staged.abandon()
    assert published(workspace) == (["old"], [])
    assert staged.run not in runs(workspace)


def test_a_store_that_knows_no_conditions_is_refused_before_anything_is_labelled(workspace, store):
    def ignore_conditions(environ, answer):
        for name in ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"):
            environ.pop(name, None)
        return answer()

    with store.hooked(ignore_conditions), pytest.raises(InvalidArgumentError, match="knows no writes with a condition"):
        stage_rows(workspace, ["a"])


def plan_of(day):
    return LabellingPlan(
        image_set="garden", day=day, images="", published_as="garden", model_name="birds", model_version=3,
        chosen="pinned", wait_until=datetime(2026, 3, 11, tzinfo=UTC),
    )  # fmt: skip


def labelled_by(run, images):
    return LabelledImageSet(
        model_name="birds", model_version=3, graph_sha256="", images=images, labelled=images, quarantined=0, reasons={},
        labels="", quarantine="", seconds=1, staged=run,
    )  # fmt: skip


def test_a_day_is_staged_checked_against_the_days_before_and_published_by_steps_of_their_own(workspace):
    names = [f"{number}.jpg" for number in range(200)]
    for before in (1, 2):
        publish_rows(workspace, names, day=DAY - timedelta(days=before))
    done = {}
    for label in ("zebra", "robin"):
        staged, parts = stage_rows(workspace, names, label=label)
        staged.seal(parts, names, NOTHING_CARRIED)
        done[label] = labelled_by(staged.run, len(names))
    with pytest.raises(QualityError, match="population stability index"):
        check_day(plan_of(DAY), done["zebra"], workspace, QualityRule(), 7, "fail")
    check = check_day(plan_of(DAY), done["robin"], workspace, QualityRule(), 7, "fail")
    assert (check.verdict, check.compared_with) == ("passed", [DAY - timedelta(days=2), DAY - timedelta(days=1)])
    assert DAY not in image_sets(workspace)["garden"]
    for _ in range(2):  # as when the task is run again
        publish_day(plan_of(DAY), done["robin"], workspace)
    assert published(workspace) == plainly(workspace) == (sorted(names), [])
    assert image_sets(workspace) == {"garden": [DAY - timedelta(days=before) for before in range(3)]}
    with pytest.raises(PublishError, match="is gone"):
        publish_day(plan_of(DAY), done["zebra"], workspace)


def test_what_pages_read_of_a_day_is_there(workspace):
    publish_rows(workspace, ["walk/a.jpg", "walk/b.jpg"], ["bad"])
    day = read_day(workspace, "garden", DAY)
    (row,) = day.rows(day.select(Wanted(text="B.JPG")).slice(0, 100))
    assert (row.image, row.top_k, row.model_version) == ("walk/b.jpg", (ScoredLabel("robin", 0.5),), 3)
    (figures,) = day_figures(workspace, "garden", [DAY])
    assert (figures.labels, figures.reasons) == ({"robin": 2}, {"empty": 1})


def test_labels_and_features_can_be_published_under_one_prefix(store):
    folder = ObjectPlace.parse(f"s3://{store.new_bucket()}/out", "--output")
    for_labels, for_features = (ObjectDestination.in_folder(folder, features) for features in (False, True))
    rows = [LabelledImage("a", (ScoredLabel("cat", 0.5),), 3, 2, datetime.now(UTC))]
    featured = [FeaturedImage("a", np.ones(3, np.float32), 3, 2, datetime.now(UTC))]
    for destination, table in (
        (for_labels, labels_table(rows, MODEL)),
        (for_features, features_table(featured, MODEL)),
    ):
        staged = publication_into(destination).stage()
        write_part(table, staged.labels / PART)
        staged.publish([PartFiles(PART, None)], ["a"], NOTHING_CARRIED)
    StagedObjects.begin(for_labels)
    files = object_store.arrow_files()
    read = {kind: pq.read_table(f"{folder.bucket}/out/{kind}", filesystem=files) for kind in ("labels", "features")}
    assert (read["labels"]["label"].to_pylist(), read["features"]["features"].to_pylist()) == (["cat"], [[1.0] * 3])


def test_images_of_a_day_are_seen_to_arrive_and_are_listed(workspace):
    folder = workspace.image_set("garden", DAY)
    assert look(folder).images == 0
    for name in ("a.jpg", "walk/b.jpg", ".part", "_tmp/c.jpg"):
        object_store.write(folder / name, b"12")
    arrived = look(folder)
    assert (arrived.images, arrived.bytes, arrived.complete, arrived.settled(None, 3600)) == (2, 4, False, False)
    assert arrived.settled(look(folder), 3600)
    object_store.write(folder / "_SUCCESS", b"")
    assert look(folder).settled(None, 3600)
    images = FolderOfImages(str(folder)).load()
    assert list(images.names()) == ["a.jpg", "walk/b.jpg"]
    assert [image.read(10) for image in images.reading.open(images.images)] == [b"12", b"12"]


@pytest.mark.spark
def test_spark_submit_labels_a_day_of_the_store_and_sweeps_what_a_killed_run_left(
    workspace, store, spark_submit, stock, test_data, monkeypatch
):
    monkeypatch.setenv("ATOLL_HOME", str(workspace.root))
    monkeypatch.setenv("ATOLL_DAYS", str(workspace.object_days))
    photos = sorted((test_data / "photos").iterdir())[:3]
    for photo in photos:
        object_store.upload(photo, workspace.image_set("garden", DAY) / photo.name)
    object_store.write(workspace.image_set("garden", DAY) / "empty.jpg", b"")
    stage_rows(workspace, ["of a killed run"])
    result = workspace.root / "result.json"
    done = spark_submit("label_images", *stock, "--image-set", "garden", "--date", DAY, "--result", result)
    assert done.returncode == 0, done.stderr[-2000:]
    assert published(workspace) == plainly(workspace) == ([photo.name for photo in photos], ["empty.jpg"])
    assert len(runs(workspace)) == 1
    counts = LabelledImageSet.model_validate_json(result.read_bytes())
    assert (counts.images, counts.labels) == (4, f"{workspace.object_days}/labels/garden/ds={DAY}")
    said = "".join((done.stdout, done.stderr, result.read_text()))
    assert SECRET_KEY not in said
    assert ACCESS_KEY not in said
