"""Graphs that take a batch of pixels get a decoder in front; what they do not tell of their pixels must be said."""

import numpy as np
import pytest
import tensorflow as tf

from jobs.errors import InvalidGraphError
from jobs.models.frozen_graph import load_graph
from jobs.models.graph_plan import PixelFormat
from jobs.models.graph_planning import plan_graph
from jobs.models.sample_jpegs import sample_jpegs

HEIGHT, WIDTH, CLASSES = 6, 9, 4
UNIT = PixelFormat(range=(0.0, 1.0))


def graph_of(shape=(None, HEIGHT, WIDTH, 3), dtype=tf.float32, *, names=("pixels",), end="softmax"):
    """Serialises a graph that classifies the sum of its inputs."""
    with tf.Graph().as_default() as graph:
        batches = [tf.cast(tf.compat.v1.placeholder(dtype, shape, name=name), tf.float32) for name in names]
        numbers = HEIGHT * WIDTH * (shape[3] or 3)
        weights = np.random.default_rng(5).normal(size=(numbers, CLASSES)).astype(np.float32)
        tf.nn.softmax(tf.matmul(tf.reshape(tf.add_n(batches), (-1, numbers)), weights) / 255, name=end)
    return graph.as_graph_def().SerializeToString()


def scored(content, plan):
    graph = load_graph(content, plan)
    return graph.scores([graph.prepare(sample) for sample in sample_jpegs()])


def fed_with_pixels(content, pixels):
    graph = tf.compat.v1.GraphDef.FromString(content)
    with tf.Graph().as_default() as imported, tf.compat.v1.Session(graph=imported) as session:
        tf.import_graph_def(graph, name="")
        return session.run("softmax:0", {"pixels:0": pixels})


def resized(channels=3):
    images = [tf.io.decode_jpeg(sample, channels=channels) for sample in sample_jpegs()]
    return np.stack([tf.image.resize(image, (HEIGHT, WIDTH)).numpy() for image in images])


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (0, 255)])
def test_images_are_decoded_resized_and_scaled_as_the_graph_expects(low, high):
    content = graph_of()
    plan = plan_graph(content, pixel_format=PixelFormat(range=(low, high)))
    assert plan.cut_tensor is not None
    assert "pixels:0 as pixels -> softmax:0 (4 classes), in batches" in plan.describe()
    pixels = resized() / 255 * (high - low) + low
    np.testing.assert_allclose(scored(content, plan), fed_with_pixels(content, pixels), atol=1e-5)


def test_a_graph_that_takes_bytes_needs_no_range():
    content = graph_of(dtype=tf.uint8)
    plan = plan_graph(content)
    np.testing.assert_allclose(scored(content, plan), fed_with_pixels(content, np.round(resized())), atol=1e-5)


def test_a_grey_graph_is_given_grey_images():
    content = graph_of((None, HEIGHT, WIDTH, 1))
    plan = plan_graph(content, pixel_format=UNIT)
    np.testing.assert_allclose(scored(content, plan), fed_with_pixels(content, resized(1) / 255), atol=1e-5)


def test_a_batch_pinned_to_one_image_is_released():
    content = graph_of((1, HEIGHT, WIDTH, 3))
    assert plan_graph(content, pixel_format=UNIT).cut_tensor is not None


def test_the_output_is_the_only_softmax_whatever_it_is_called():
    assert plan_graph(graph_of(end="functional/dense/Softmax"), pixel_format=UNIT).output_tensor == (
        "functional/dense/Softmax:0"
    )


@pytest.mark.parametrize(
    ("content", "asked", "given", "message"),
    [
        (
            graph_of(),
            None,
            PixelFormat(),
            "takes pixels as float32; say the values of black and white with --pixel-range",
        ),
        (graph_of(names=("a", "b")), None, UNIT, r"several tensors take pixels \(a:0, b:0\)"),
        (graph_of(names=("a", "b")), "a", UNIT, "besides atoll/encoded/contents:0 it must be fed b"),
        (graph_of((None, HEIGHT, WIDTH, None)), None, UNIT, "unknown number of channels"),
        (graph_of((None, None, None, 3)), None, UNIT, "say which with --input-size"),
        (graph_of(), None, PixelFormat((0, 1), (5, 5)), "--input-size: 5,5; pixels:0 accepts only 6,9"),
    ],
    ids=["range", "several inputs", "a second input", "channels", "size", "another size"],
)
def test_what_is_missing_is_asked_for_by_name(content, asked, given, message):
    with pytest.raises(InvalidGraphError, match=message):
        plan_graph(content, asked, pixel_format=given)


def test_a_graph_of_any_size_is_given_the_size_asked_for():
    content = graph_of((None, None, None, 3))
    plan = plan_graph(content, pixel_format=PixelFormat((0, 1), (HEIGHT, WIDTH)))
    np.testing.assert_allclose(scored(content, plan), fed_with_pixels(content, resized() / 255), atol=1e-5)
