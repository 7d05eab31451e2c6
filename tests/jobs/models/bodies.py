"""Small frozen graphs that give features, made in code."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

SIDE, FEATURES = 8, 12

POOLED = "pool"
"""Features of shape (1, 1, 1, FEATURES), as Google's Inception release has them."""


def encoded_body(after: Callable[[tf.Tensor], None] = lambda pooled: None) -> bytes:
    """Takes an encoded image; its nodes have the names that a head uses too. `after` adds to what comes after `POOLED`."""
    with tf.Graph().as_default() as graph:
        contents = tf.compat.v1.placeholder(tf.string, (), name="DecodeJpeg/contents")
        image = tf.cast(tf.raw_ops.DecodeJpeg(contents=contents, channels=3, name="DecodeJpeg"), tf.float32)
        batch = tf.expand_dims(image, 0, name="features")
        resized = tf.raw_ops.ResizeBilinear(images=batch, size=(SIDE, SIDE), name="resized")
        attention = tf.nn.softmax(resized / 255.0, name="softmax")
        after(_pooled(resized / 127.5 - attention))
    return graph.as_graph_def().SerializeToString()


def pixel_body() -> bytes:
    """Takes a batch of pixels, -1 to 1, and gives (batch, FEATURES) at `POOLED` squeezed."""
    with tf.Graph().as_default() as graph:
        pixels = tf.compat.v1.placeholder(tf.float32, (None, SIDE, SIDE, 3), name="pixels")
        tf.squeeze(_pooled(pixels), (1, 2), name="vector")
    return graph.as_graph_def().SerializeToString()


def body_of_2015(scaled: bool) -> bytes:
    """A graph of version 8, as Google's Inception release is: `normalised` by an operation removed in version 9."""
    graph = tf.compat.v1.GraphDef.FromString(encoded_body())
    graph.versions.producer = 8
    normalised = graph.node.add(name="normalised", op="BatchNormWithGlobalNormalization", input=[POOLED])
    normalised.attr["T"].type = tf.float32.as_datatype_enum
    normalised.attr["variance_epsilon"].f = 0.001
    normalised.attr["scale_after_normalization"].b = scaled
    draws = np.random.default_rng(7)
    for name in ("mean", "variance", "beta", "gamma"):
        constant = graph.node.add(name=name, op="Const")
        constant.attr["dtype"].type = tf.float32.as_datatype_enum
        value = draws.uniform(0.1, 2, FEATURES).astype(np.float32)
        constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        normalised.input.append(name)
    return graph.SerializeToString()


def _pooled(images: tf.Tensor) -> tf.Tensor:
    kernel = np.random.default_rng(3).normal(size=(3, 3, 3, FEATURES)).astype(np.float32)
    layer = tf.nn.relu(tf.nn.conv2d(images, kernel, 1, "SAME"), name="conv")
    return tf.reduce_mean(layer, (1, 2), keepdims=True, name=POOLED)
