"""Freezing a trained network into one GraphDef that takes an encoded image and gives class probabilities."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

INPUT_TENSOR = "DecodeJpeg/contents:0"
"""Scalar string: the bytes of one JPEG or PNG. The name is that of Google's 2015 Inception release."""

OUTPUT_TENSOR = "softmax:0"
"""float32, shape (batch, classes): class probabilities."""


def freeze(network: "keras.Model", image_shape: tuple[int, int, int]) -> bytes:
    """Freezes a network with the decoding, resizing and scaling of images in front of it.

    Args:
        network: As `build_network` gives it, with its trained weights.
        image_shape: Height, width and channels that it was trained on; images of other sizes are resized (bilinear).

    Returns:
        A serialised GraphDef whose input is `INPUT_TENSOR` and whose output is `OUTPUT_TENSOR`.
    """
    import tensorflow as tf

    height, width, channels = image_shape

    def classify(contents: "tf.Tensor") -> "tf.Tensor":
        decoded = decode_and_resize(contents, image_shape)
        # Without it the batch would be known to be 1, and operations after it would be built for that.
        images = tf.raw_ops.PlaceholderWithDefault(input=decoded, shape=(None, height, width, channels), name="images")
        return tf.nn.softmax(network(images / 255.0, training=False), name="softmax")

    graph = freeze_function(classify, tf.TensorSpec((), tf.string, name="contents"))
    _rename(graph, "contents", INPUT_TENSOR.removesuffix(":0"))
    return bytes(graph.SerializeToString(deterministic=True))


def freeze_function(classify: "Callable[[tf.Tensor], tf.Tensor]", given: "tf.TensorSpec") -> "tf.compat.v1.GraphDef":
    """Freezes a function into a GraphDef without variables that ends in `OUTPUT_TENSOR`.

    Args:
        classify: Ends in an operation of that name.
        given: What it takes; its name is that of the placeholder.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    function = tf.function(classify, input_signature=[given])
    frozen = convert_variables_to_constants_v2(function.get_concrete_function())
    return tf.compat.v1.graph_util.extract_sub_graph(frozen.graph.as_graph_def(), [OUTPUT_TENSOR.removesuffix(":0")])


def decode_and_resize(contents: "bytes | tf.Tensor", image_shape: tuple[int, int, int]) -> "tf.Tensor":
    """Decodes one image and resizes it (bilinear): in a frozen graph, and for a data set that is made of image files.

    Both round to whole numbers, so that what is stored in one byte per value is what the frozen graph sees. A camera's note of
    how to turn the picture is not followed, since no operation of TensorFlow reads it.

    Args:
        contents: The bytes of a JPEG or PNG, or a scalar string tensor of them.
        image_shape: Height, width and channels (1 or 3) to give.

    Returns:
        float32, shape (1, height, width, channels), whole numbers from 0 to 255.

    Raises:
        tensorflow.errors.InvalidArgumentError: It cannot be decoded, or not into so many channels.
    """
    import tensorflow as tf

    height, width, channels = image_shape
    # The kernel behind this name decodes PNG too.
    image = tf.raw_ops.DecodeJpeg(contents=contents, channels=channels, name="DecodeJpeg")
    batch = tf.expand_dims(tf.cast(image, tf.float32), 0, name="ExpandDims")
    return tf.round(tf.raw_ops.ResizeBilinear(images=batch, size=(height, width), name="ResizeBilinear"), name="Round")


def _rename(graph: "tf.compat.v1.GraphDef", old: str, new: str) -> None:
    for node in graph.node:
        if node.name == old:
            node.name = new
        node.input[:] = [new if name in (old, f"{old}:0") else name for name in node.input]
