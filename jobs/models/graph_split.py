"""Cutting a frozen graph in two: what is done image by image, and what is done in batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import tensorflow as tf

from jobs.models.graph_topology import ancestors, nodes_by_name, producer, separating_tensors, tensor_name

_STALE_ATTRIBUTES = ("_output_shapes", "_class")
"""Shapes recorded for a batch of one, and colocation with nodes that may lie on the other side of the cut."""


@dataclass(frozen=True)
class Part:
    """A part of a graph that is fed at one tensor.

    Attributes:
        graph: A `GraphDef`.
        fed: The placeholder to feed.
        dtype: TensorFlow's type of what is fed.
        output: The tensor to fetch.
    """

    graph: Any
    fed: str
    dtype: Any
    output: str


def part_between(graph: Any, fed: str, dtype: Any, output: str) -> Part:
    """Copies the part of a graph that leads from one tensor to another.

    Args:
        graph: A `GraphDef`; left as it is.
        fed: The tensor that is replaced by a placeholder, whatever makes it.
        dtype: Its type.
        output: The tensor to reach.
    """
    placeholder = "fed"
    while placeholder in nodes_by_name(graph):
        placeholder += "_"
    part = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    part.node.add(name=placeholder, op="Placeholder").attr["dtype"].type = dtype.as_datatype_enum
    for node in ancestors(graph, output, frozenset({fed})):
        copy = part.node.add()
        copy.CopyFrom(node)
        copy.device = ""  # the machine it was trained on is not this one
        copy.input[:] = [placeholder if tensor_name(edge) == fed else edge for edge in node.input]
        for attribute in _STALE_ATTRIBUTES:
            copy.attr.pop(attribute, None)
    return Part(part, f"{placeholder}:0", dtype, output)


def infer_shapes(graph: Any, input_tensor: str, output_tensor: str) -> Any:
    """Imports a graph for one encoded image, so that TensorFlow works out type and shape of each tensor.

    Args:
        graph: A `GraphDef`; left as it is.
        input_tensor: Scalar string: one encoded image.
        output_tensor: The scores.

    Returns:
        A `tf.Graph` with the same names; only the nodes that the output needs.
    """
    part = part_between(graph, input_tensor, tf.string, output_tensor)
    inferred = tf.Graph()
    with inferred.as_default():
        image = tf.compat.v1.placeholder(tf.string, shape=())
        tf.import_graph_def(part.graph, input_map={part.fed: image}, name="")
    return inferred


def batchable_tensors(graph: Any, inferred: Any, input_tensor: str, output_tensor: str) -> Iterator[str]:
    """Gives the tensors at which the graph may be cut, nearest to the input first.

    Such a tensor lies on every path from input to output, has at least two dimensions, the first of which is 1 or unknown,
    and all others are known: images of any size give the same shape, so they can be stacked.

    Args:
        graph: A `GraphDef`.
        inferred: What `infer_shapes` gave for it.
        input_tensor: Scalar string: one encoded image.
        output_tensor: The scores; not given itself.
    """
    for tensor in separating_tensors(graph, input_tensor, output_tensor):
        shape = inferred.get_tensor_by_name(tensor).shape
        if shape.rank is not None and shape.rank >= 2 and shape[0] in (1, None) and None not in shape.as_list()[1:]:
            yield tensor


def batched_part(graph: Any, inferred: Any, cut: str, output: str) -> Part:
    """Copies the part after the cut, and lets it take a batch where a Reshape says that there is one image.

    Args:
        graph: A `GraphDef`; left as it is.
        inferred: What `infer_shapes` gave for it.
        cut: The tensor to feed with a batch.
        output: The scores.
    """
    part = part_between(graph, cut, inferred.get_tensor_by_name(cut).dtype, output)
    depends = {producer(part.fed)}
    for node in list(part.graph.node):
        if not any(producer(edge) in depends for edge in node.input):
            continue
        depends.add(node.name)
        if node.op == "Reshape":
            _unpin(part.graph, node, inferred.get_operation_by_name(node.name))
    return part


def unpinned_shape(target: list[int], incoming: list[int | None]) -> list[int] | None:
    """Rewrites the shape of a Reshape that says "one image" so that it says "as many images as come".

    Args:
        target: The constant shape; at most one dimension is -1.
        incoming: The shape of what is reshaped, for one image; None for an unknown dimension.

    Returns:
        `[-1, ...]` with as many numbers per image as before, or None where the shape does not pin a batch of one.
    """
    if len(target) < 2 or target[0] != 1 or not incoming or incoming[0] not in (1, None):
        return None
    known = [size for size in incoming[1:] if size is not None]
    numbers_per_image = prod(known) if len(known) == len(incoming) - 1 else None
    rest = target[1:]
    if -1 in rest:
        others = prod(size for size in rest if size != -1)
        if numbers_per_image is None or others == 0:
            return None
        rest = [numbers_per_image // others if size == -1 else size for size in rest]
    if numbers_per_image is not None and prod(rest) != numbers_per_image:
        return None
    return [-1, *rest]


def function_of(part: Part, shape: tuple[int | None, ...]) -> Any:
    """Imports a part as a function that is traced once, and never again for another batch size.

    Args:
        part: The part; its library and versions are kept.
        shape: Of the tensor to feed.

    Returns:
        A concrete function of one tensor; calling it releases Python's lock.
    """

    def imported(fed: Any) -> Any:
        return tf.import_graph_def(part.graph, input_map={part.fed: fed}, return_elements=[part.output], name="")[0]

    return tf.compat.v1.wrap_function(imported, [tf.TensorSpec(shape, part.dtype)])


def _unpin(graph: Any, node: Any, reshape: Any) -> None:
    target = tf.get_static_value(reshape.inputs[1])
    incoming = reshape.inputs[0].shape
    if target is None or incoming.rank is None:
        return
    shape = unpinned_shape([int(size) for size in target], incoming.as_list())
    if shape is None:
        return
    constant = graph.node.add(name=f"{node.name}/shape_of_a_batch", op="Const")
    constant.attr["dtype"].type = tf.as_dtype(target.dtype).as_datatype_enum
    constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(shape, dtype=target.dtype))
    node.input[1] = constant.name
