"""Parsing a GraphDef that may come from anywhere. Importing this module imports TensorFlow."""

from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError

from jobs.errors import InvalidGraphError
from jobs.models.graph_operations import check_operations
from jobs.models.removed_operations import replace_removed


def read_graph(content: bytes) -> Any:
    """Parses a GraphDef and checks its operations; those that TensorFlow has removed are replaced.

    Raises:
        InvalidGraphError: The bytes are not a GraphDef, or it holds an operation that is not allowed.
    """
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(content)
    except DecodeError:
        raise InvalidGraphError(
            f"not a frozen GraphDef ({len(content)} bytes that do not parse); accepted: a binary .pb, not a SavedModel"
        ) from None
    if not graph.node:
        raise InvalidGraphError(
            f"no operations in its {len(content)} bytes; accepted: a binary GraphDef, not a SavedModel"
        )
    check_operations(graph)
    replace_removed(graph)
    return graph
