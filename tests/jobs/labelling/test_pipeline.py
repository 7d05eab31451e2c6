"""One partition through the graph: batches side by side, one per core, and each image in exactly one row."""

import threading

import pytest

from jobs.labelling.header import ImageLimits
from jobs.labelling.pipeline import LabellingPipeline, PipelineSettings
from jobs.labelling.schema import QuarantinedImage
from jobs.labelling.sources.folder import FolderOfImages
from jobs.labelling.sources.image_set import unpacked
from jobs.models.frozen_graph import FrozenGraph
from jobs.models.graph_planning import plan_graph
from jobs.models.graph_reading import read_graph

LIMITS = ImageLimits(megapixels=40, megabytes=50)


@pytest.fixture(scope="module")
def content(test_data):
    return (test_data / "stock" / "mobilenet_v2_imagenet_frozen.pb").read_bytes()


@pytest.fixture(scope="module")
def plan(content):
    return plan_graph(content)


def label(graph, folder, **settings):
    labels = tuple(f"class {index}" for index in range(graph.plan.classes))
    images = FolderOfImages(str(folder)).load()
    chosen = PipelineSettings(LIMITS, **({"batch_size": 3, "top_k": 2, "threads": 4, "streams": 2} | settings))
    (partition,) = images.partitions(1)
    unread = images.reading.open(unpacked(partition))
    rows = dict(LabellingPipeline(graph, labels, chosen).run(unread))
    assert [rows[row].image for row in sorted(rows)] == list(images.names())
    return {row.image: row for row in rows.values()}


def test_two_streams_infer_at_the_same_time(content, plan, test_data):
    meeting = threading.Barrier(2, timeout=60)

    class Meeting(FrozenGraph):
        def scores(self, prepared):
            meeting.wait()  # for ever, were there one stream
            return super().scores(prepared)

    rows = label(Meeting(read_graph(content), plan), test_data / "photos", batch_size=3)
    assert len(rows) == 12


@pytest.mark.parametrize("batch_size", [1, 5, 32])
def test_an_image_has_the_same_labels_in_a_batch_of_any_size(content, plan, test_data, batch_size):
    graph = FrozenGraph(read_graph(content), plan)
    alone = label(graph, test_data / "photos", batch_size=1, streams=1, threads=1)
    rows = label(graph, test_data / "photos", batch_size=batch_size)
    assert rows.keys() == alone.keys()
    for image, row in rows.items():
        assert [one.label for one in row.top_k] == [one.label for one in alone[image].top_k]
        assert [one.score for one in row.top_k] == pytest.approx([one.score for one in alone[image].top_k], abs=1e-5)


def test_bad_images_among_good_ones_spoil_no_batch(content, plan, test_data):
    rows = label(FrozenGraph(read_graph(content), plan), test_data / "photos_bad", batch_size=2)
    rejected = {image for image, row in rows.items() if isinstance(row, QuarantinedImage)}
    assert len(rows) == 9
    assert rejected == {
        f"{name}.jpg" for name in ("truncated", "empty", "text", "bomb_13000x13000", "bomb_20000x20000")
    }
