"""Joining the frozen graph that gives features with a head that was trained on them: one GraphDef, from image to classes."""

from typing import TYPE_CHECKING, Any

from jobs.models.freezing import INPUT_TENSOR, OUTPUT_TENSOR, freeze_function
from jobs.models.graph_plan import PixelInput
from jobs.models.graph_topology import producer, tensor_name

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

FEATURES_TENSOR = "features:0"
"""float32, shape (batch, features): where the two meet in the joined graph."""

_BODY, _HEAD = "body", "head"
"""Name scopes of the two, so that no node of one can be taken for one of the other."""


def join_head(network: "keras.Model", body: bytes, input_tensor: str, tensor: str, pixels: PixelInput | None) -> bytes:
    """Freezes a head behind the graph whose features it was trained on.

    The nodes of the graph that lead to the features are taken over as they are, so that they give what they gave when the
    data set was made; what comes after them is left out.

    Args:
        network: As `build_network` gives it for the model `head`, with its trained weights.
        body: The serialised GraphDef.
        input_tensor: Its scalar string: one encoded image.
        tensor: Its features, one vector for each image.
        pixels: Where a decoder is put in front of it, since it takes pixels.

    Returns:
        A serialised GraphDef whose input is `INPUT_TENSOR` and whose output is `OUTPUT_TENSOR`.

    Raises:
        InvalidGraphError: The graph is not allowed.
    """
    import tensorflow as tf

    from jobs.models.graph_front import with_decoder
    from jobs.models.graph_reading import read_graph
    from jobs.models.graph_split import part_between

    graph = read_graph(body)
    if pixels:
        graph, _ = with_decoder(graph, pixels)
    part = part_between(graph, input_tensor, tf.string, tensor)
    (features,) = network.input_shape[1:]
    encoded = INPUT_TENSOR.removesuffix(":0")
    joined = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    _add(joined, part.graph, _BODY, {producer(part.fed): encoded})
    placeholder = next(node for node in joined.node if node.name == encoded)
    placeholder.attr["shape"].shape.SetInParent()  # a scalar
    _add_vector(joined, f"{_BODY}/{tensor_name(tensor)}", features)
    kept = {FEATURES_TENSOR.removesuffix(":0"), OUTPUT_TENSOR.removesuffix(":0")}
    head = _frozen_head(network, features)
    _add(joined, head, _HEAD, {name: name for name in kept}, leave_out=FEATURES_TENSOR.removesuffix(":0"))
    return bytes(joined.SerializeToString(deterministic=True))


def _frozen_head(network: "keras.Model", features: int) -> Any:
    """Gives a GraphDef from `FEATURES_TENSOR` to `OUTPUT_TENSOR`."""
    import tensorflow as tf

    def classify(given: "tf.Tensor") -> "tf.Tensor":
        return tf.nn.softmax(network(given, training=False), name=OUTPUT_TENSOR.removesuffix(":0"))

    name = FEATURES_TENSOR.removesuffix(":0")
    return freeze_function(classify, tf.TensorSpec((None, features), tf.float32, name=name))


def _add(joined: Any, part: Any, scope: str, renamed: dict[str, str], leave_out: str = "") -> None:
    """Adds the nodes of a part under a name scope.

    Args:
        joined: A `GraphDef` to add to.
        part: A `GraphDef`.
        scope: Put before each name.
        renamed: Names that are given instead.
        leave_out: A node that is there already.
    """

    def under(edge: str) -> str:
        mark = "^" if edge.startswith("^") else ""
        name = producer(edge)
        return mark + renamed.get(name, f"{scope}/{name}") + edge.removeprefix("^").removeprefix(name)

    for node in part.node:
        if node.name != leave_out:
            copy = joined.node.add()
            copy.CopyFrom(node)
            copy.name = under(node.name)
            copy.input[:] = [under(edge) for edge in node.input]


def _add_vector(joined: Any, tensor: str, features: int) -> None:
    """Adds the node that gives the features as (batch, features), whatever dimensions of 1 the graph has between."""
    import tensorflow as tf

    name = FEATURES_TENSOR.removesuffix(":0")
    shape = joined.node.add(name=f"{name}/shape", op="Const")
    shape.attr["dtype"].type = tf.int32.as_datatype_enum
    shape.attr["value"].tensor.CopyFrom(tf.make_tensor_proto([-1, features], tf.int32))
    vector = joined.node.add(name=name, op="Reshape", input=[tensor, shape.name])
    vector.attr["T"].type = tf.float32.as_datatype_enum
    vector.attr["Tshape"].type = tf.int32.as_datatype_enum
