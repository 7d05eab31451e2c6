"""Publishing is all or nothing, survives a kill at any step, and belongs to one driver at a time."""

import errno
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.errors import AlreadyRunningError, InvalidArgumentError, PublishError
from jobs.labelling import exchange, publish
from jobs.labelling.destination import Destination
from jobs.labelling.part_files import join_parts, write_part
from jobs.labelling.partition import PartFiles
from jobs.labelling.publish import discard, stage
from jobs.labelling.schema import (
    FEATURES,
    LABELS,
    QUARANTINE,
    FeaturedImage,
    LabelledImage,
    ModelStamp,
    QuarantinedImage,
    ScoredLabel,
    beside,
    features_table,
    labels_table,
    quarantine_table,
    with_carried,
)
from tests.jobs.labelling.full_disk import fill_disk

MODEL = ModelStamp("model", None, "0" * 64)


def stage_rows(destination, labelled, quarantined=()):
    staged = stage(destination)
    rows = [LabelledImage(name, (ScoredLabel("cat", 0.5),), 3, 2, datetime.now(UTC)) for name in labelled]
    write_part(labels_table(rows, MODEL), staged.labels / "part-00000-1.parquet")
    bad = [QuarantinedImage(name, "empty", "zero bytes") for name in quarantined]
    if bad:
        write_part(quarantine_table(bad), staged.quarantine / "part-00000-1.parquet")
    return staged, [PartFiles("part-00000-1.parquet", "part-00000-1.parquet" if bad else None)]


def publish_rows(destination, labelled, quarantined=()):
    staged, parts = stage_rows(destination, labelled, quarantined)
    return publish.publish(destination, staged, parts, [*labelled, *quarantined])


def published(destination):
    return tuple(sorted(pq.read_table(folder)["image"].to_pylist()) for folder in destination.folders)


def hidden(destination):
    return sorted(path.name for path in destination.labels.parent.iterdir() if path.name.startswith(".")) != [".lock"]


@pytest.fixture(params=["atomic exchange", "two renames"])
def way_to_swap(request, monkeypatch):
    if request.param == "two renames":
        monkeypatch.setattr(exchange, "_exchange", lambda one, other: False)


def test_a_day_is_published_and_running_it_again_replaces_it(destination, way_to_swap):
    with destination.locked():
        counts = publish_rows(destination, ["a", "b"], ["c"])
        assert (counts.labelled, counts.reasons) == (2, {"empty": 1})
        assert published(destination) == (["a", "b"], ["c"])
        publish_rows(destination, ["d"])
    assert published(destination) == (["d"], [])
    assert not hidden(destination)


def test_empty_labels_and_quarantine_are_still_readable_with_their_columns(destination):
    with destination.locked():
        staged = stage(destination)
        publish.publish(destination, staged, [], [])
    for folder, schema in zip(destination.folders, (LABELS, QUARANTINE), strict=True):
        assert pq.read_table(folder).schema.equals(schema)


def test_columns_that_are_carried_through_are_there_even_where_there_is_no_row(destination):
    carried = pa.schema([("product", pa.int64())])
    with destination.locked():
        publish.publish(destination, stage(destination), [], [], carried)
    for folder in destination.folders:
        assert pq.read_table(folder).schema.field("product").type == pa.int64()


@pytest.mark.parametrize(
    ("labelled", "quarantined"),
    [(["a"], []), (["a", "b"], ["b"]), (["a", "b", "b"], []), (["a", "c"], [])],
    ids=["missing", "in both", "twice", "not in the set"],
)
def test_rows_that_do_not_add_up_are_refused(destination, labelled, quarantined):
    with destination.locked():
        staged, parts = stage_rows(destination, labelled, quarantined)
        with pytest.raises(PublishError, match="nothing was published"):
            publish.publish(destination, staged, parts, ["a", "b"])
    assert not destination.labels.exists()


def test_labels_are_counted_by_name_and_by_how_sure_the_model_was(destination):
    labels = [("cat", 0.05), ("dog", 0.95), ("cat", 1.0), ("cat", 3.0), ("cat", -1.0)]
    with destination.locked():
        staged = stage(destination)
        rows = [
            LabelledImage(str(number), (ScoredLabel(label, score),), 3, 2, datetime.now(UTC))
            for number, (label, score) in enumerate(labels)
        ]
        for number, some in enumerate((rows[:2], rows[2:])):
            write_part(labels_table(some, MODEL), staged.labels / f"part-{number}.parquet")
        parts = [PartFiles("part-0.parquet", None), PartFiles("part-1.parquet", None)]
        counts = publish.publish(destination, staged, parts, [str(number) for number in range(5)])
    assert counts.labels == {"cat": 4, "dog": 1}
    assert counts.confidence == [2, 0, 0, 0, 0, 0, 0, 0, 0, 3]


def test_features_are_joined_and_counted_with_their_carried_columns(tmp_path):
    destination = Destination.in_folder(tmp_path / "out", features=True)
    carried = pa.schema([("product", pa.int64())])
    with destination.locked():
        staged = stage(destination)
        for number in range(2):
            rows = [FeaturedImage(str(number), np.full(3, number, np.float32), 3, 2, datetime.now(UTC))]
            table = beside(features_table(rows, MODEL), pa.table({"product": [number]}))
            write_part(table, staged.labels / f"part-{number}.parquet")
        parts = [PartFiles("part-0.parquet", None), PartFiles("part-1.parquet", None)]
        counts = publish.publish(destination, staged, parts, ["0", "1"], carried)
    assert (counts.labelled, counts.quarantined, counts.confidence) == (2, 0, [])
    (file,) = (tmp_path / "out" / "features").glob("*.parquet")
    table = pq.read_table(file)
    assert table.schema.equals(with_carried(FEATURES, carried))
    assert (table["features"].to_pylist(), table["product"].to_pylist()) == ([[0.0] * 3, [1.0] * 3], [0, 1])


@pytest.mark.parametrize(("large_enough", "files"), [(64_000_000, 1), (1, 8), (0, 8)])
def test_small_files_are_joined_in_their_order_into_files_of_a_reasonable_size(tmp_path, large_enough, files):
    names = [f"part-{number}.parquet" for number in range(8)]
    for number, name in enumerate(names):
        write_part(
            quarantine_table([QuarantinedImage(f"{number}-{row}", "empty", "") for row in range(3)]), tmp_path / name
        )
    write_part(quarantine_table([QuarantinedImage("x", "empty", "")]), tmp_path / "part-of-a-dead-task.parquet")
    joined = join_parts(tmp_path, names, QUARANTINE, "run", large_enough)
    assert len(joined) == files
    assert sorted(tmp_path.iterdir()) == joined
    table = pq.read_table(tmp_path)
    assert table.schema.equals(QUARANTINE)
    assert table["image"].to_pylist() == [f"{number}-{row}" for number in range(8) for row in range(3)]


def test_a_refused_publication_changes_nothing(destination):
    with destination.locked():
        publish_rows(destination, ["a"])
        staged, parts = stage_rows(destination, ["b"])
        with pytest.raises(PublishError, match="missing: c"):
            publish.publish(destination, staged, parts, ["b", "c"])
        discard(destination)
    assert published(destination) == (["a"], [])
    assert not hidden(destination)


def test_files_of_a_task_that_did_not_finish_are_dropped(destination):
    with destination.locked():
        staged, parts = stage_rows(destination, ["a"])
        rows = [LabelledImage("a", (ScoredLabel("dog", 1.0),), 1, 1, datetime.now(UTC))]
        write_part(labels_table(rows, MODEL), staged.labels / "part-00000-0.parquet")
        publish.publish(destination, staged, parts, ["a"])
    assert pq.read_table(destination.labels)["label"].to_pylist() == ["cat"]


class Killed(BaseException):
    """Stands for a driver that dies here."""


def die(*_):
    raise Killed


@pytest.mark.parametrize("first_time", [True, False], ids=["first publication", "replacement"])
@pytest.mark.parametrize("swaps", [0, 1, 2])
def test_a_driver_killed_after_the_decision_is_rolled_forward(destination, way_to_swap, monkeypatch, swaps, first_time):
    done = []

    def swap_then_die(*folders):
        if len(done) == swaps:
            raise Killed
        exchange.swap_in(*folders)
        done.append(folders)

    with destination.locked():
        if not first_time:
            publish_rows(destination, ["old"], ["older"])
        staged, parts = stage_rows(destination, ["a"], ["b"])
        with monkeypatch.context() as patched:
            patched.setattr(publish, "swap_in", swap_then_die)
            patched.setattr(publish, "discard", die)
            with pytest.raises(Killed):
                publish.publish(destination, staged, parts, ["a", "b"])
    with destination.locked():
        discarded = stage(destination)
        assert published(destination) == (["a"], ["b"])
        assert discarded.labels.is_dir()
        discard(destination)
    assert not hidden(destination)


def test_labels_whose_driver_was_killed_after_the_decision_are_completed_by_a_run_for_features(tmp_path, monkeypatch):
    for_labels, for_features = (Destination.in_folder(tmp_path / "out", features) for features in (False, True))
    with for_labels.locked():
        staged, parts = stage_rows(for_labels, ["a"], ["b"])
        with monkeypatch.context() as patched:
            patched.setattr(publish, "swap_in", die)
            with pytest.raises(Killed):
                publish.publish(for_labels, staged, parts, ["a", "b"])
    with for_features.locked():
        stage(for_features)
        assert published(for_labels) == (["a"], ["b"])
        discard(for_features)
    assert not hidden(for_features)


def test_a_driver_killed_between_two_renames_is_rolled_forward(destination, monkeypatch):
    monkeypatch.setattr(exchange, "_exchange", lambda one, other: False)
    with destination.locked():
        publish_rows(destination, ["old"])
        staged, parts = stage_rows(destination, ["a"])

        def die_half_way(new, target, retired):
            target.rename(retired)
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(publish, "swap_in", die_half_way)
            with pytest.raises(Killed):
                publish.publish(destination, staged, parts, ["a"])
        stage(destination)
    assert published(destination) == (["a"], [])


def test_a_driver_killed_before_the_decision_is_rolled_back(destination):
    with destination.locked():
        publish_rows(destination, ["old"])
        left, _ = stage_rows(destination, ["a"])
        stage(destination)
    assert not left.labels.exists()
    assert published(destination) == (["old"], [])


def test_a_journal_that_was_half_written_when_its_driver_was_killed_is_removed(destination, monkeypatch):
    with destination.locked():
        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", die)
            patched.setattr(Path, "unlink", lambda *_, **__: None)  # the dead clear nothing away
            with pytest.raises(Killed):
                publish_rows(destination, ["a"])
        assert hidden(destination)
        publish_rows(destination, ["b"])
    assert published(destination) == (["b"], [])
    assert not hidden(destination)


def fails_for_lack_of_room(destination, labelled):
    try:
        publish_rows(destination, labelled, ["bad"])
    except OSError as error:
        discard(destination)
        return error.errno == errno.ENOSPC
    return False


def test_wherever_the_disk_runs_full_the_old_day_stays_until_there_is_room(small_disk):
    destination = Destination.in_folder(small_disk / "out")
    new = [f"image {number}" for number in range(500)]
    pages = 0
    with destination.locked():
        publish_rows(destination, ["old"], ["older"])
        fill_disk(small_disk, pages)
        while fails_for_lack_of_room(destination, new):
            assert published(destination) == (["old"], ["older"])
            assert not hidden(destination)
            pages += 1
            fill_disk(small_disk, pages)
    assert pages > 4, "two markers, the rows of both folders, and the journal"
    assert published(destination) == (sorted(new), ["bad"])
    assert not hidden(destination)


def test_a_reader_never_misses_the_labels_while_they_are_replaced(destination):
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux exchanges two folders at once")
    watcher = (
        "import os, sys\nmissed = seen = 0\nprint('ready', flush=True)\n"
        "while not os.path.exists(sys.argv[2]):\n    seen += 1\n    missed += not os.path.isdir(sys.argv[1])\nprint(missed)\n"
    )
    stop = destination.labels.parent.parent / "stop"
    with destination.locked():
        publish_rows(destination, ["a"])
        command = [sys.executable, "-c", watcher, str(destination.labels), str(stop)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "ready\n"
            for number in range(20):
                publish_rows(destination, [str(number)])
            stop.touch()
            assert process.stdout.read().strip() == "0"


def test_a_second_driver_is_turned_away_and_the_lock_ends_with_its_holder(destination):
    holder = (
        "import sys, time\nfrom pathlib import Path\nfrom jobs.labelling.destination import Destination\n"
        "with Destination.in_folder(Path(sys.argv[1])).locked():\n    print('locked', flush=True)\n    time.sleep(600)\n"
    )
    command = [sys.executable, "-c", holder, str(destination.labels.parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(AlreadyRunningError), destination.locked():
            pass
        process.kill()
        process.wait(30)
    with destination.locked():
        pass


def test_days_of_one_image_set_have_locks_and_journals_of_their_own(tmp_path):
    days = [
        Destination.in_workspace(tmp_path / "labels" / day, tmp_path / "quarantine" / day) for day in ("ds=1", "ds=2")
    ]
    with days[0].locked(), days[1].locked():
        publish_rows(days[0], ["a"])
        publish_rows(days[1], ["b"])
    assert [published(day) for day in days] == [(["a"], []), (["b"], [])]


def test_an_unwritable_destination_is_an_argument_to_mend(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InvalidArgumentError, match="cannot be written"),
        Destination.in_folder(tmp_path / "file").locked(),
    ):
        pass
