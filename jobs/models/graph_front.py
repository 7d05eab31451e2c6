"""Putting a decoder in front of a graph that takes pixels. Importing this module imports TensorFlow."""

from typing import Any

import tensorflow as tf

from jobs.errors import InvalidGraphError
from jobs.models.graph_operations import DECODE_OPERATIONS
from jobs.models.graph_plan import PixelFormat, PixelInput
from jobs.models.graph_topology import ancestors, nodes_by_name, tensor_name

FRONT = "atoll/encoded"
"""Name scope of what is put in front."""

_PIXEL_TYPES = {tf.float32.as_datatype_enum: "float32", tf.uint8.as_datatype_enum: "uint8"}


def find_pixel_input(graph: Any, output: str, asked: str | None, given: PixelFormat) -> PixelInput | None:
    """Finds the placeholder that takes a batch of images as pixels.

    Args:
        graph: A `GraphDef`.
        output: The scores, which depend on it.
        asked: The tensor that the user named, or None to find it.
        given: What the user says of its pixels.

    Returns:
        None where the graph decodes images itself, or has no such placeholder; unless one is asked for.

    Raises:
        InvalidGraphError: There are several, or its size or the range of its pixels is not known.
    """
    nodes = ancestors(graph, output)
    if asked is None and any(node.op in DECODE_OPERATIONS for node in nodes):
        return None
    placeholders = [node for node in nodes if node.op in ("Placeholder", "PlaceholderWithDefault")]
    named = [node for node in placeholders if asked is None or tensor_name(asked) == tensor_name(node.name)]
    pixels = [node for node in named if node.attr["dtype"].type in _PIXEL_TYPES and _sizes(node) is not None]
    if not pixels:
        return None
    if len(pixels) > 1:
        listed = ", ".join(sorted(tensor_name(node.name) for node in pixels))
        raise InvalidGraphError(f"several tensors take pixels ({listed}); name one with --input-tensor")
    return _described(pixels[0], given)


def _described(node: Any, given: PixelFormat) -> PixelInput:
    tensor, kind = tensor_name(node.name), _PIXEL_TYPES[node.attr["dtype"].type]
    _, height, width, channels = _sizes(node) or ()
    if channels not in (1, 3):
        raise InvalidGraphError(
            f"{tensor} has {channels or 'an unknown number of'} channels; accepted: 1 or 3, as its last dimension"
        )
    if given.size is not None:
        height, width = height or given.size[0], width or given.size[1]
    if height is None or width is None:
        raise InvalidGraphError(f"{tensor} takes images of any size; say which with --input-size HEIGHT,WIDTH")
    if given.size is not None and (height, width) != given.size:
        raise InvalidGraphError(
            f"--input-size: {given.size[0]},{given.size[1]}; {tensor} accepts only {height},{width}"
        )
    if kind == "float32" and given.range is None:
        raise InvalidGraphError(
            f"{tensor} takes pixels as float32; say the values of black and white with --pixel-range=0,255 or =0,1 or =-1,1"
        )
    low, high = given.range or (0.0, 255.0)
    return PixelInput(tensor, kind == "uint8", height, width, channels, low, high)


def with_decoder(graph: Any, pixels: PixelInput) -> tuple[Any, str]:
    """Copies a graph with a decoder in front: one encoded image is decoded, resized (bilinear) and scaled as it expects.

    Args:
        graph: A `GraphDef`; left as it is.
        pixels: The placeholder that is fed from the decoder.

    Returns:
        The new graph, and the scalar string to feed it with.
    """
    shape = (pixels.height, pixels.width)
    with tf.Graph().as_default() as front, tf.name_scope(FRONT):
        contents = tf.compat.v1.placeholder(tf.string, (), name="contents")
        image = tf.raw_ops.DecodeJpeg(contents=contents, channels=pixels.channels, name="DecodeJpeg")
        batch = tf.expand_dims(tf.cast(image, tf.float32), 0)
        # Pixels lie as in tf.image.resize, with which the data sets of TensorFlow 2 are made.
        sized = tf.raw_ops.ResizeBilinear(images=batch, size=shape, half_pixel_centers=True, name="resized")
        scaled = sized * ((pixels.high - pixels.low) / 255) + pixels.low
        fed = tf.cast(tf.round(scaled), tf.uint8) if pixels.integers else scaled
        # Without it the batch would be known to be 1, and operations after it would be built for that.
        tf.raw_ops.PlaceholderWithDefault(input=fed, shape=(None, *shape, pixels.channels), name="pixels")
    if any(name.startswith(f"{FRONT}/") for name in nodes_by_name(graph)):
        raise InvalidGraphError(f"it has nodes under {FRONT}/, where the decoder is put")
    joined = tf.compat.v1.GraphDef()
    joined.CopyFrom(graph)
    for node in joined.node:
        node.input[:] = [_led(edge, pixels.tensor) for edge in node.input]
    joined.node.extend(front.as_graph_def().node)
    return joined, contents.name


def _led(edge: str, fed: str) -> str:
    if edge.startswith("^"):
        return edge
    return f"{FRONT}/pixels:0" if tensor_name(edge) == fed else edge


def _sizes(node: Any) -> tuple[int | None, ...] | None:
    """Gives the four dimensions of a placeholder, None for an unknown one; None where it does not have four."""
    shape = node.attr["shape"].shape
    if shape.unknown_rank or len(shape.dim) != 4:
        return None
    return tuple(None if dimension.size < 0 else dimension.size for dimension in shape.dim)
