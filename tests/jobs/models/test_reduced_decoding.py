"""JPEGs far larger than the graph's input may be decoded at a reduced scale; nothing else is, nor without being asked."""

import io
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from jobs.models.freezing import freeze
from jobs.models.frozen_graph import FrozenGraph
from jobs.models.graph_planning import plan_graph
from jobs.models.graph_reading import read_graph
from jobs.models.graph_rewrites import reduction_for, resize_integers

SIDE = 32


def graph_of(between):
    """A graph that classifies by mean colour; `between` stands between decoding and resizing."""
    with tf.Graph().as_default() as graph:
        contents = tf.compat.v1.placeholder(tf.string, (), name="contents")
        image = tf.cast(tf.raw_ops.DecodeJpeg(contents=contents, channels=3), tf.float32)
        resized = tf.raw_ops.ResizeBilinear(images=between(tf.expand_dims(image, 0)), size=(SIDE, SIDE))
        tf.nn.softmax(tf.reduce_mean(resized, axis=(1, 2)) / 100, name="softmax")
    return graph.as_graph_def().SerializeToString()


def picture(width, height, form):
    noise = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(noise).save(encoded, form)
    return encoded.getvalue()


def prepared(content, encoded, size, *, reduced):
    plan = replace(plan_graph(content), reduced_decoding=reduced)
    assert plan.cut_tensor is not None
    return FrozenGraph(read_graph(content), plan).prepare(encoded, size).numpy()


def decoded_by_tensorflow(encoded, ratio):
    image = tf.io.decode_jpeg(encoded, channels=3, ratio=ratio)
    return tf.raw_ops.ResizeBilinear(images=tf.expand_dims(image, 0), size=(SIDE, SIDE)).numpy()


@pytest.mark.parametrize(("size", "ratio"), [((60, 90), 1), ((64, 70), 2), ((300, 128), 4), ((900, 900), 8)])
def test_a_large_jpeg_is_decoded_at_the_smallest_scale_that_is_enough(size, ratio):
    encoded = picture(*size, "JPEG")
    got = prepared(graph_of(lambda image: image), encoded, size, reduced=True)
    np.testing.assert_array_equal(got, decoded_by_tensorflow(encoded, ratio))


def test_the_stock_graph_decodes_a_large_photo_at_a_quarter(test_data):
    content = (test_data / "stock" / "mobilenet_v2_imagenet_frozen.pb").read_bytes()
    encoded = (test_data / "photos" / "cat_1080p.jpg").read_bytes()
    image = tf.io.decode_jpeg(encoded, channels=3, ratio=4)
    expected = tf.raw_ops.ResizeBilinear(images=tf.expand_dims(image, 0), size=(224, 224))
    np.testing.assert_array_equal(prepared(content, encoded, (1920, 1080), reduced=True), expected)


def test_a_graph_frozen_here_decodes_a_large_jpeg_reduced_and_rounds_as_ever():
    network = keras.Sequential([keras.Input((SIDE, SIDE, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    encoded = picture(300, 300, "JPEG")
    got = prepared(freeze(network, (SIDE, SIDE, 3)), encoded, (300, 300), reduced=True)
    np.testing.assert_array_equal(np.round(got), np.round(decoded_by_tensorflow(encoded, 8)))


def test_rounding_before_the_cut_does_not_stand_in_the_way():
    content = graph_of(lambda image: tf.round(image))
    encoded = picture(300, 300, "JPEG")
    got = prepared(content, encoded, (300, 300), reduced=True)
    np.testing.assert_array_equal(got, decoded_by_tensorflow(encoded, 8))


def test_a_resize_is_given_bytes_even_through_a_placeholder():
    def between(image):
        return tf.compat.v1.placeholder_with_default(tf.identity(image), (None, None, None, 3))

    content = graph_of(between)
    graph = read_graph(content)
    resize_integers(graph)
    assert {node.op: node.attr["T"].type for node in graph.node}["ResizeBilinear"] == tf.uint8.as_datatype_enum
    encoded = picture(60, 90, "JPEG")
    got = prepared(content, encoded, (60, 90), reduced=False)
    np.testing.assert_array_equal(got, decoded_by_tensorflow(encoded, 1))


def test_without_being_asked_every_pixel_is_decoded():
    encoded = picture(300, 300, "JPEG")
    got = prepared(graph_of(lambda image: image), encoded, (300, 300), reduced=False)
    np.testing.assert_array_equal(got, decoded_by_tensorflow(encoded, 1))


def test_a_png_is_decoded_whole():
    encoded = picture(300, 300, "PNG")
    got = prepared(graph_of(lambda image: image), encoded, (300, 300), reduced=True)
    np.testing.assert_array_equal(got, decoded_by_tensorflow(encoded, 1))


def test_a_graph_that_crops_by_pixels_sees_all_of_them():
    content = graph_of(lambda image: image[:, :40, :40])
    encoded = picture(300, 300, "JPEG")
    np.testing.assert_array_equal(
        prepared(content, encoded, (300, 300), reduced=True), prepared(content, encoded, (300, 300), reduced=False)
    )


@pytest.mark.parametrize(
    ("size", "wanted", "expected"),
    [
        ((500, 375), (224, 224), 1),
        ((500, 448), (224, 224), 2),
        ((4000, 3000), (224, 224), 8),
        ((448, 900), (448, 224), 2),
    ],
)
def test_the_reduction_leaves_enough_pixels_in_both_directions(size, wanted, expected):
    assert reduction_for(size, wanted) == expected
