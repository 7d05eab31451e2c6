"""Whether a tensor of a frozen graph gives one vector for each image. Importing this module imports TensorFlow."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from jobs.errors import InvalidGraphError
from jobs.models.frozen_graph import FrozenGraph, ImageDecodeError, first_line
from jobs.models.graph_plan import PixelFormat
from jobs.models.graph_planning import find_ends
from jobs.models.graph_reading import read_graph
from jobs.models.graph_split import infer_shapes
from jobs.models.graph_topology import nodes_by_name, producer, separating_tensors, tensor_name
from jobs.models.sample_jpegs import sample_jpegs

_NAMED = 6


class UnsuitableTensorError(Exception):
    """A tensor is not in the graph, or does not give one vector for each image; the message says what would do."""


def check_feature_tensor(content: bytes, tensor: str, input_tensor: str | None, pixel_format: PixelFormat) -> None:
    """Checks that a tensor gives one vector of float32 for each image, by trying it on one.

    Args:
        content: A serialised GraphDef.
        tensor: Its name.
        input_tensor: What to feed; None to find it.
        pixel_format: What the graph does not tell of its pixels, where it takes pixels.

    Raises:
        InvalidGraphError: The graph cannot be used, whatever its tensors.
        UnsuitableTensorError: The tensor cannot.
    """
    if producer(tensor) not in nodes_by_name(read_graph(content)):
        listed = _vectors(content, input_tensor, pixel_format)
        raise UnsuitableTensorError(f"no such tensor in the graph; accepted: one vector for each image{listed}")
    graph, plan = find_ends(content, input_tensor, tensor, pixel_format)
    try:
        given = FrozenGraph(graph, plan).prepare(sample_jpegs()[0])
    except (tf.errors.OpError, ValueError, TypeError, KeyError, ImageDecodeError) as error:
        raise UnsuitableTensorError(f"an ordinary JPEG does not give it: {first_line(error)}") from None
    shape, kind = tuple(np.shape(given)), given.dtype.name
    if kind != "float32" or not _is_vector(shape):
        listed = _vectors(content, input_tensor, pixel_format)
        raise UnsuitableTensorError(
            f"an image gives {kind} of shape {shape}; accepted: one vector of float32 for each, such as (1, 1280){listed}"
        )


def _is_vector(shape: Sequence[int | None]) -> bool:
    """Whether all dimensions but the last are 1; the first may not be known, since it is the batch."""
    *others, last = shape or (None,)
    return last is not None and others[:1] in ([], [1], [None]) and all(size == 1 for size in others[1:])


def _vectors(content: bytes, input_tensor: str | None, pixel_format: PixelFormat) -> str:
    """Names the last vectors that all paths to the graph's scores pass through; nothing where it has no scores."""
    try:
        graph, plan = find_ends(content, input_tensor, None, pixel_format)
        inferred = infer_shapes(graph, plan.input_tensor, plan.output_tensor)
    except (InvalidGraphError, tf.errors.OpError, ValueError, TypeError, KeyError):
        return ""
    found = []
    for name in [*separating_tensors(graph, plan.input_tensor, plan.output_tensor), tensor_name(plan.output_tensor)]:
        tensor = inferred.get_tensor_by_name(name)
        if tensor.dtype == tf.float32 and tensor.shape.rank is not None and tensor.shape.rank > 1:
            shape = tensor.shape.as_list()
            if _is_vector(shape):
                found.append(f"{name} ({shape[-1]})")
    return f": here {', '.join(found[-_NAMED:])}" if found else ""
