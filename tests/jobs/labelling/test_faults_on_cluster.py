"""What breaks under labelling, on a real cluster: a day is published whole or not at all, and the next run puts it right."""

import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from PIL import Image

from jobs.workspace import REPOSITORY
from tests.cluster_processes import executor_of, kill_with_its_executor, python_worker_of
from tests.jobs.labelling.awkward_server import awkward_server
from tests.jobs.labelling.day_reader import WholeDay, reader_of
from tests.jobs.labelling.dying_driver import STEPS
from tests.jobs.labelling.full_disk import fill_disk, make_room
from tests.standalone_cluster import Cluster, standalone_cluster

pytestmark = pytest.mark.spark

GOOD, BAD, SIDE = 240, 16, 8

CONF = {
    "spark.executor.cores": "1", "spark.executor.memory": "512m", "spark.scheduler.minRegisteredResourcesRatio": "1",
}  # fmt: skip

NO_SETTINGS: Mapping[str, str] = MappingProxyType({})

PUBLISHED = [".lock", "labels", "quarantine", "result.json"]


@dataclass(frozen=True)
class Labelling:
    """Runs `label_images` with a small graph on a cluster.

    Attributes:
        cluster: The cluster.
        folder: Where the graph, its labels and the logs of drivers are.
    """

    cluster: Cluster
    folder: Path

    def start(
        self,
        *arguments: object,
        executors: int = 1,
        script: tuple[str, ...] = ("jobs/label_images.py",),
        conf: Mapping[str, str] = NO_SETTINGS,
    ) -> "subprocess.Popen[bytes]":
        settings = CONF | {"spark.cores.max": str(executors)} | dict(conf)
        given = [text for key, value in settings.items() for text in ("--conf", f"{key}={value}")]
        graph = ("--graph", self.folder / "graph.pb", "--labels", self.folder / "labels.txt")
        command = ["spark-submit", "--master", self.cluster.master, *given, *script, *graph, *arguments]
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [str(one) for one in command], cwd=REPOSITORY, stdout=log, stderr=log, start_new_session=True
            )

    def run(self, *arguments: object, **options: object) -> int:
        """Gives the exit status."""
        with self.start(*arguments, **options) as driver:
            return ended(driver)

    @property
    def log(self) -> Path:
        return self.folder / "driver.log"

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


def ended(driver: "subprocess.Popen[bytes]") -> int:
    """Waits for a driver, and leaves nothing of it behind."""
    try:
        return driver.wait(400)
    finally:
        if driver.returncode is None:
            os.killpg(driver.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def labelling(cluster, tmp_path_factory) -> Labelling:
    folder = tmp_path_factory.mktemp("graph")
    with tf.Graph().as_default() as graph:
        contents = tf.compat.v1.placeholder(tf.string, (), name="contents")
        pixels = tf.cast(tf.raw_ops.DecodeJpeg(contents=contents, channels=3), tf.float32)
        image = tf.raw_ops.ResizeBilinear(images=tf.expand_dims(pixels, 0), size=(SIDE, SIDE)) / 255.0
        weights = np.random.default_rng(1).normal(size=(SIDE * SIDE * 3, 4)).astype(np.float32)
        tf.nn.softmax(tf.matmul(tf.reshape(image, (1, -1)), weights), name="softmax")
    (folder / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    (folder / "labels.txt").write_text("ant\nbee\ncat\ndog\n")
    return Labelling(cluster, folder)


def images_called(letter: str) -> dict[str, bytes]:
    """Small JPEGs, and some files that are none."""
    random = np.random.default_rng(ord(letter))
    made = {}
    for number in range(GOOD):
        content = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8)).save(content, "JPEG")
        made[f"{letter}{number:03}.jpg"] = content.getvalue()
    return made | {f"{letter}{number:03}.txt": b"not an image" for number in range(BAD)}


@pytest.fixture(scope="module")
def two_sets(tmp_path_factory) -> dict[str, Path]:
    """Two folders whose images have different names, so that it shows whose rows somebody reads."""
    folders = {}
    for letter in "ab":
        folders[letter] = tmp_path_factory.mktemp(letter)
        for name, content in images_called(letter).items():
            (folders[letter] / name).write_bytes(content)
    return folders


def whole(names: "list[str] | dict[str, bytes]") -> WholeDay:
    return WholeDay(*(tuple(sorted(name for name in names if name.endswith(end))) for end in (".jpg", ".txt")))


def whole_of(folder: Path) -> WholeDay:
    return whole([path.name for path in folder.iterdir()])


@pytest.fixture(scope="module")
def published(labelling, two_sets, tmp_path_factory) -> Path:
    """A day that was published without any trouble."""
    out = tmp_path_factory.mktemp("published") / "out"
    assert labelling.run("--images", two_sets["a"], "--output", out) == 0, labelling.said()
    assert read(out) == whole_of(two_sets["a"])
    return out


def read(out: Path) -> WholeDay:
    """Gives every row, also those that are there twice."""
    return WholeDay(
        *(tuple(sorted(pq.read_table(out / kind)["image"].to_pylist())) for kind in ("labels", "quarantine"))
    )


def run_of(out: Path) -> str:
    (run,) = {(out / kind / "_run").read_text() for kind in ("labels", "quarantine")}
    return run


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def until(done: Callable[[], bool], driver: "subprocess.Popen[bytes]", labelling: Labelling) -> None:
    deadline = time.monotonic() + 120
    while not done():
        assert driver.poll() is None, labelling.said()
        assert time.monotonic() < deadline, labelling.said()
        time.sleep(0.05)


def test_a_killed_executor_and_a_killed_python_worker_lose_no_image_and_double_none(
    labelling, published, two_sets, cluster, tmp_path
):
    out = tmp_path / "out"
    shutil.copytree(published, out)
    images = images_called("b")
    with awkward_server(images) as server:
        # The first image of each half is held back, so that both tasks are in the middle of their work.
        held = [f"/held/{list(images)[at]}" for at in (0, len(images) // 2)]
        urls = [server.url(f"/{'held' if f'/held/{name}' in held else 'images'}/{name}") for name in images]
        (tmp_path / "urls.txt").write_text("\n".join(urls))
        patience = ("--read-timeout", 300, "--fetch-timeout", 300, "--allow-network", "127.0.0.1")
        first, second = cluster.workers
        with (
            reader_of(out, whole_of(two_sets["a"]), whole(urls)) as reader,
            labelling.start("--image-list", tmp_path / "urls.txt", *patience, "--output", out, executors=2) as driver,
        ):
            try:
                until(lambda: all(server.asked[path] for path in held), driver, labelling)
                executor_of(first).kill()
                python_worker_of(second).kill()
            finally:
                server.released.set()
                status = ended(driver)
        assert status == 0, labelling.said()
        assert all(server.asked[path] == 2 for path in held), "each of the two tasks was begun again"
    assert read(out) == whole(urls)
    assert len(reader.runs) == 2
    assert names(out) == PUBLISHED
    counts = json.loads((out / "result.json").read_text())
    assert (counts["images"], counts["labelled"], counts["quarantined"]) == (GOOD + BAD, GOOD, BAD)


def test_a_cluster_that_gives_no_executor_any_more_ends_the_driver_and_leaves_nothing_staged(labelling, tmp_path):
    with awkward_server(images_called("a")) as server, standalone_cluster(tmp_path, workers=1) as small:
        (tmp_path / "urls.txt").write_text(server.url("/held/a000.jpg"))
        alone = Labelling(small, labelling.folder)
        patience = ("--read-timeout", 300, "--fetch-timeout", 300, "--allow-network", "127.0.0.1")
        options = ("--image-list", tmp_path / "urls.txt", *patience, "--output", tmp_path / "out")
        with alone.start(*options, conf={"spark.atoll.executorWait": "10"}) as driver:
            try:
                until(lambda: server.asked["/held/a000.jpg"], driver, alone)
                kill_with_its_executor(small.workers[0])
                status = ended(driver)
            finally:
                server.released.set()
        assert status == 2, alone.said()
        assert f"{small.master} has given no executor for 10 s" in alone.said()
        assert "Traceback" not in alone.said()
    assert not [name for name in names(tmp_path / "out") if "staged" in name or name in ("labels", "quarantine")]


def test_a_driver_killed_at_any_step_of_publishing_leaves_a_whole_day_that_the_next_run_puts_right(
    labelling, published, two_sets, tmp_path
):
    out = tmp_path / "out"
    shutil.copytree(published, out)
    expected, shown = [run_of(out)], "a"
    with reader_of(out, *map(whole_of, two_sets.values())) as reader:
        for (name, step), whom in zip(STEPS.items(), itertools.cycle(["driver", "tree"])):
            other = "b" if shown == "a" else "a"
            script = ("tests/jobs/labelling/dying_driver.py", name, whom)
            status = labelling.run("--images", two_sets[other], "--output", out, script=script)
            assert status == (-signal.SIGKILL if whom == "tree" else 128 + signal.SIGKILL), (
                f"{name}: {labelling.said()}"
            )
            journal = out / ".publish.json"
            assert journal.exists() == step.decided, name
            if step.decided:
                expected.append(json.loads(journal.read_text())["run"])
                shown = other
        last = "b" if shown == "a" else "a"
        assert labelling.run("--images", two_sets[last], "--output", out) == 0, labelling.said()
        expected.append(run_of(out))
    assert reader.runs == expected, "what was decided was completed, and nothing else"
    assert read(out) == whole_of(two_sets[last])
    assert names(out) == PUBLISHED


def test_a_full_disk_leaves_the_old_day_and_with_room_again_the_next_run_succeeds(
    labelling, published, two_sets, small_disk
):
    out = small_disk / "out"
    shutil.copytree(published, out)
    before = run_of(out)
    command = ("--images", two_sets["b"], "--output", out)
    with reader_of(out, *map(whole_of, two_sets.values())) as reader:
        for pages in (0, 3):  # too few to begin; enough to begin, too few for what the executor writes
            fill_disk(small_disk, pages)
            assert labelling.run(*command) == 2, labelling.said()
            full = f"{out}: no space left on the device; nothing was published"
            assert f"label_images: error: {full}\n" in labelling.said()
            assert (run_of(out), names(out)) == (before, PUBLISHED)
        make_room(small_disk)
        assert labelling.run(*command) == 0, labelling.said()
    assert read(out) == whole_of(two_sets["b"])
    assert reader.runs == [before, run_of(out)]
    assert names(out) == PUBLISHED
