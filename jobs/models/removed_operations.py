"""Operations of old graphs that TensorFlow only runs in graphs of their age, written as what took their place.

A GraphDef says of which version it is, and a session honours that. A function does not: its operations must be those of today.
Google's Inception release of 2015 is of version 8, and each of its layers is normalised by an operation that was removed in
version 9.
"""

from typing import Any

_NORMALISATION = "BatchNormWithGlobalNormalization"
_INPUTS = 5
_DT_FLOAT = 1  # tensorflow/core/framework/types.proto


def replace_removed(graph: Any) -> None:
    """Replaces normalisations of 2015 by those of today, which give the same numbers but for their rounding.

    Args:
        graph: A `GraphDef`; changed in place. Names stay, so that a tensor is found under the name it had.
    """
    for node in [node for node in graph.node if node.op == _NORMALISATION and len(node.input) >= _INPUTS]:
        if node.attr["T"].type != _DT_FLOAT:
            continue
        batch, mean, variance, beta, gamma, *control = node.input
        epsilon, scaled = node.attr["variance_epsilon"].f, node.attr["scale_after_normalization"].b
        if not scaled:
            gamma = _ones(graph, f"{node.name}/unscaled", beta)
        node.op = "FusedBatchNormV3"
        node.input[:] = [batch, gamma, beta, mean, variance, *control]
        node.attr.clear()
        for name in ("T", "U"):
            node.attr[name].type = _DT_FLOAT
        node.attr["epsilon"].f = epsilon
        node.attr["data_format"].s = b"NHWC"
        node.attr["is_training"].b = False


def _ones(graph: Any, name: str, like: str) -> str:
    """Adds ones of the shape of another tensor; gives their name."""
    ones = graph.node.add(name=name, op="OnesLike", input=[like])
    ones.attr["T"].type = _DT_FLOAT
    return name
