"""The batch size is found by trying: the smallest that none of the next larger ones clearly beats."""

import pytest

from jobs.models.batch_size import CANDIDATES, fastest_batch_size, fastest_of
from jobs.models.frozen_graph import load_graph
from jobs.models.graph_plan import GraphPlan
from jobs.models.graph_planning import plan_graph


@pytest.mark.parametrize(
    ("seconds", "expected", "tried"),
    [
        ((1.0, 0.5, 0.4, 0.3), 32, 4),
        ((1.0, 0.8, 0.9, 0.1), 8, 3),
        ((1.0, 0.99, 0.5, 0.5), 4, 2),
        ((1.0, 0.9, 0.85, 0.849), 16, 4),
    ],
)
def test_a_larger_batch_is_taken_only_for_a_clear_gain(seconds, expected, tried):
    measured = dict(zip((4, 8, 16, 32), seconds, strict=True))
    asked = []
    assert fastest_of((4, 8, 16, 32), lambda size: asked.append(size) or measured[size]) == expected
    assert len(asked) == tried


def test_a_real_graph_is_tried_in_batches(test_data):
    content = (test_data / "stock" / "mobilenet_v2_imagenet_frozen.pb").read_bytes()
    graph = load_graph(content, plan_graph(content))
    sizes = set()
    scores = graph.scores
    graph.scores = lambda batch: sizes.add(len(batch)) or scores(batch)
    try:
        assert fastest_batch_size(graph, 2) in CANDIDATES
    finally:
        del graph.scores
    assert sizes >= {4, 8}


def test_a_graph_that_is_fed_one_image_at_a_time_is_not_tried():
    class Unsplit:
        plan = GraphPlan("", "a:0", "b:0", None, 2)

    assert fastest_batch_size(Unsplit(), 2) == CANDIDATES[0]
