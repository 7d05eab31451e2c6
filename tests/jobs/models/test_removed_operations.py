"""A graph of 2015 gives what a session of TensorFlow makes of it, though its operations were removed since."""

import numpy as np
import pytest
import tensorflow as tf

from jobs.models.frozen_graph import load_graph
from jobs.models.graph_planning import plan_graph
from jobs.models.sample_jpegs import sample_jpegs
from tests.jobs.models.bodies import FEATURES, body_of_2015


@pytest.mark.parametrize("scaled", [True, False])
def test_normalisations_of_2015_are_run_in_batches_and_give_their_own_numbers(scaled: bool) -> None:
    content = body_of_2015(scaled)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(tf.compat.v1.GraphDef.FromString(content), name="")
        expected = np.concatenate(
            [session.run("normalised:0", {"DecodeJpeg/contents:0": one}).reshape(1, -1) for one in sample_jpegs()]
        )
    plan = plan_graph(content, None, "normalised")
    assert (plan.cut_tensor, plan.classes) == ("resized:0", FEATURES)
    graph = load_graph(content, plan)
    scores = graph.scores([graph.prepare(one) for one in sample_jpegs()])
    np.testing.assert_allclose(scores, expected, atol=1e-5)
