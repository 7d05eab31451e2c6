"""The command line is checked as a whole before anything is started; progress and partitions are plain arithmetic."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jobs.errors import InvalidArgumentError
from jobs.labelling.model_source import GraphOnDisk, RegisteredGraph
from jobs.labelling.partition import partition_count
from jobs.labelling.progress import Progress, logged_progress
from jobs.labelling.top_labels import top_labels
from jobs.models.graph_plan import PixelFormat

REPOSITORY = Path(__file__).resolve().parents[3]
FILES = ("--graph", "g.pb", "--labels", "l.txt")
FOLDERS = ("--images", "in", "--output", "out")
DAY = ("--image-set", "photos", "--date", "2026-03-01")


def test_files_and_folders_of_the_users_choice(request_for, tmp_path):
    request = request_for(*FILES, "--images", "in", "--output", tmp_path)
    assert request.model == GraphOnDisk(Path("g.pb"), Path("l.txt"))
    assert request.destination.labels == tmp_path / "labels"
    assert (request.top_k, request.batch_size, request.limits.megapixels, request.limits.megabytes) == (5, None, 40, 50)


def test_a_day_of_the_workspace_is_labelled_by_the_champion(request_for, tmp_path):
    request = request_for("--model", "mnist", *DAY, "--workspace", tmp_path)
    assert isinstance(request.model, RegisteredGraph)
    assert request.model.version is None
    assert str(request.images) == str(tmp_path / "image_sets/photos/ds=2026-03-01")
    assert request.destination.labels == tmp_path / "labels/photos/ds=2026-03-01"
    assert request.destination.quarantine == tmp_path / "quarantine/photos/ds=2026-03-01"
    assert request.destination.lock_file.name.startswith(".")


def test_days_and_outputs_may_lie_in_an_object_store(request_for, tmp_path, monkeypatch):
    request = request_for(*FILES, "--images", "in", "--output", "s3://bucket/out", "--workspace", tmp_path)
    assert str(request.destination.labels) == "s3://bucket/out/labels"
    monkeypatch.setenv("ATOLL_DAYS", "s3a://bucket/atoll")
    request = request_for("--model", "mnist", *DAY, "--workspace", tmp_path)
    assert str(request.images) == "s3://bucket/atoll/image_sets/photos/ds=2026-03-01"
    assert str(request.destination.quarantine) == "s3://bucket/atoll/quarantine/photos/ds=2026-03-01"
    assert str(request.destination.pointer) == "s3://bucket/atoll/labels/photos/_published/ds=2026-03-01.json"


def test_images_from_elsewhere_may_become_a_day_of_the_workspace(request_for):
    request = request_for("--model", "mnist", "--model-version", 3, *DAY, "--images", "s3://b/i")
    assert str(request.images) == "s3://b/i"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((*FILES, *FOLDERS, "--top-k", 0), "--top-k"),
        ((*FILES, *FOLDERS, "--batch-size", -1), "--batch-size"),
        ((*FILES, *FOLDERS, "--max-megapixels", "nan"), "--max-megapixels"),
        ((*FILES, *FOLDERS, "--max-megabytes", 0), "--max-megabytes"),
        ((*FILES, "--images", "in"), "--output"),
        ((*FILES, "--output", "out"), "--images"),
        ((*FILES, *FOLDERS, *DAY), "--output"),
        ((*FILES, "--images", "in", "--output", "gs://bucket/out"), "s3://BUCKET/PREFIX"),
        ((*FILES, "--images", "in", "--output", "s3://me:secret@bucket/out"), "s3://...@bucket/out"),
        ((*FILES, "--image-set", "photos"), "--date"),
        ((*FILES, *FOLDERS, "--date", "2026-03-01"), "--image-set"),
        (FOLDERS, "--graph or --model"),
        ((*FILES, "--model", "mnist", *FOLDERS), "--graph or --model"),
        (("--graph", "g.pb", *FOLDERS), "--labels"),
        (("--model", "mnist", "--labels", "l.txt", *FOLDERS), "--graph"),
        ((*FILES, *FOLDERS, "--model-version", 1), "--model-version"),
        ((*FILES, *FOLDERS, "--features", "pool"), "--labels: not used with --features"),
        (("--model", "mnist", *DAY, "--features", "pool"), "--features: without --output"),
        ((*FILES[:2], *FOLDERS, "--features", "pool", "--min-score", 0.5), "--min-score: not used with --features"),
        ((*FILES, *FOLDERS, "--pixel-range", "1,1"), "--pixel-range: '1,1'; accepted: two different numbers"),
        ((*FILES, *FOLDERS, "--pixel-range", "0,inf"), "--pixel-range"),
        ((*FILES, *FOLDERS, "--input-size", "224"), "--input-size: '224'; accepted: height and width"),
        (("--model", "mnist", "--synsets", "s.txt", *FOLDERS), "--synsets"),
        ((*FILES, "--image-set", "../x", "--date", "2026-03-01"), "image set"),
    ],
)
def test_arguments_that_do_not_go_together_are_named(request_for, arguments, named):
    with pytest.raises(InvalidArgumentError, match=named):
        request_for(*arguments)


def test_what_a_graph_does_not_tell_of_its_pixels_is_given(request_for):
    request = request_for(*FILES, *FOLDERS, "--pixel-range=-1,1", "--input-size", "160,120")
    assert request.pixel_format == PixelFormat(range=(-1.0, 1.0), size=(160, 120))


def test_a_mistake_is_one_line_and_status_2(tmp_path):
    (tmp_path / "graph.pb").write_bytes(b"x")
    (tmp_path / "labels.txt").write_text("cat\n")
    (tmp_path / "empty").mkdir()
    graph = ("--graph", tmp_path / "graph.pb", "--labels", tmp_path / "labels.txt")
    for arguments, named in (
        ((*graph, "--images", tmp_path / "nowhere", "--output", tmp_path), "nowhere: does not exist"),
        ((*graph, "--images", tmp_path / "empty", "--output", tmp_path), "empty: holds no file"),
        (("--graph", "no.pb", "--labels", "no.txt", "--images", tmp_path, "--output", tmp_path), "no.pb: No such file"),
        ((*graph, "--images", tmp_path, "--output", tmp_path / "graph.pb"), "cannot be written"),
        ((*graph, "--images", tmp_path, "--output", tmp_path, "--top-k", 0), "--top-k: 0"),
    ):
        command = [sys.executable, "jobs/label_images.py", *map(str, arguments)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2
        assert named in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr


def test_the_driver_does_not_import_tensorflow():
    code = "import sys; import jobs.labelling.label; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False, timeout=60).returncode == 0


@pytest.mark.parametrize(
    ("images", "executors", "expected"),
    [(12, 1, 1), (12, 4, 4), (2, 4, 2), (1024, 1, 1), (1025, 1, 2), (1024, 2, 8), (16_000, 2, 16), (60_000, 2, 59)],
)
def test_partitions_are_few_but_leave_no_executor_waiting_for_a_slow_one(images, executors, expected):
    assert partition_count(images, executors) == expected


@pytest.mark.parametrize(("fewest", "expected"), [(128, 16), (1024, 10), (4096, 3)])
def test_partitions_are_as_large_as_their_source_is_read_best(fewest, expected):
    assert partition_count(10_000, 2, fewest) == expected


def test_the_progress_line_says_how_long_it_will_take():
    assert Progress(512, 12, 2000, 6.1).line() == "progress: 512/2000 images, 12 quarantined, 84 images/s, 0:18 left"
    assert (
        Progress(10, 0, 100_000, 100).line()
        == "progress: 10/100000 images, 0 quarantined, 0.1 images/s, 277:45:00 left"
    )
    assert Progress(0, 0, 5, 0).line().endswith("time left unknown")


def test_progress_is_logged_only_when_something_has_changed(caplog):
    caplog.set_level("INFO", "atoll")
    seen = []

    def done():
        seen.append(1)
        return 3 if len(seen) > 2 else 0

    with logged_progress(5, done, lambda: 1, every=0.01):
        while len(seen) < 8:
            pass
    assert [record.message.split(",")[0] for record in caplog.records] == ["progress: 3/5 images"]


def test_the_best_labels_come_first_and_ties_in_the_order_of_the_classes():
    best = top_labels(np.array([0.1, 0.4, 0.1, 0.4], np.float32), ("a", "b", "c", "d"), 3)
    assert [one.label for one in best] == ["b", "d", "a"]
    assert len(top_labels(np.array([0.2, 0.8], np.float32), ("a", "b"), 5)) == 2
