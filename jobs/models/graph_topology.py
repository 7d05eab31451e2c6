"""Questions about the nodes and edges of a GraphDef, answered without importing it."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from jobs.errors import InvalidGraphError
from jobs.models.graph_operations import DECODE_OPERATIONS

_SOURCES = ("Placeholder", "PlaceholderWithDefault", "PlaceholderV2", "Const")
_DT_STRING = 7  # tensorflow/core/framework/types.proto


def tensor_name(name: str) -> str:
    """Writes a tensor as `node:index`; a control edge stays `^node`."""
    return name if name.startswith("^") or ":" in name else f"{name}:0"


def producer(tensor: str) -> str:
    """Names the node that a tensor or control edge comes from."""
    return tensor.removeprefix("^").partition(":")[0]


def nodes_by_name(graph: Any) -> dict[str, Any]:
    """Indexes the nodes of a `GraphDef`."""
    return {node.name: node for node in graph.node}


def ancestors(graph: Any, tensor: str, fed: frozenset[str] = frozenset()) -> list[Any]:
    """Gives the nodes that a tensor depends on, its own among them, each after its inputs.

    Args:
        graph: A `GraphDef`.
        tensor: The tensor to reach.
        fed: Tensors that are fed; the walk does not go beyond them.

    Raises:
        InvalidGraphError: A node names an input that is not in the graph.
    """
    nodes = nodes_by_name(graph)
    ordered: list[Any] = []
    seen: set[str] = set()
    stack: list[tuple[str, bool]] = [(producer(tensor), False)]
    while stack:
        name, inputs_done = stack.pop()
        if inputs_done:
            ordered.append(nodes[name])
            continue
        if name in seen:
            continue
        seen.add(name)
        if name not in nodes:
            raise InvalidGraphError(f"the node {name!r} is used but not in the graph; is the file complete?")
        stack.append((name, True))
        stack += [(producer(edge), False) for edge in nodes[name].input if tensor_name(edge) not in fed]
    return ordered


def separating_tensors(graph: Any, input_tensor: str, output_tensor: str) -> Iterator[str]:
    """Gives the tensors that every path from input to output passes through, nearest to the input first.

    With the nodes between the two in topological order, a tensor separates exactly where it is the only one that is
    alive, that is, produced before a position and consumed after it (a control edge counts as one too).

    Args:
        graph: A `GraphDef`.
        input_tensor: Where the paths start; not given itself.
        output_tensor: Where they end; not given itself.
    """
    path = _nodes_between(graph, input_tensor, output_tensor)
    position = {producer(input_tensor): 0} | {node.name: index for index, node in enumerate(path, start=1)}
    spans: dict[str, tuple[int, int]] = {}
    for node in path:
        for edge in map(tensor_name, node.input):
            if producer(edge) in position:
                here, made = position[node.name], position[producer(edge)]
                start, end = spans.get(edge, (made, made))
                spans[edge] = (min(start, here), max(end, here))
    starting, ending = defaultdict(list), defaultdict(list)
    for edge, (start, end) in spans.items():
        starting[start].append(edge)
        ending[end].append(edge)
    alive: set[str] = set()
    for index in range(len(position)):
        alive = (alive - set(ending[index])) | set(starting[index])
        if len(alive) == 1:
            (only,) = alive
            if not only.startswith("^") and only not in (input_tensor, output_tensor):
                yield only


def _nodes_between(graph: Any, input_tensor: str, output_tensor: str) -> list[Any]:
    fed = frozenset({input_tensor})
    reached: set[str] = set()
    between = []
    for node in ancestors(graph, output_tensor, fed):
        if any(tensor_name(edge) in fed or producer(edge) in reached for edge in node.input):
            reached.add(node.name)
            between.append(node)
    return between


def find_input(graph: Any, output_tensor: str, asked: str | None) -> str:
    """Finds the tensor to feed with one encoded image.

    Args:
        graph: A `GraphDef`.
        output_tensor: The output, which must depend on it.
        asked: The tensor that the user named, or None to find what feeds the image decoder.

    Raises:
        InvalidGraphError: There is none, there are several, or the one asked for is not a scalar string.
    """
    nodes = nodes_by_name(graph)
    reachable = ancestors(graph, output_tensor)
    if asked is not None:
        found = {tensor_name(asked)}
        if producer(asked) not in {node.name for node in reachable}:
            raise InvalidGraphError(
                f"no tensor {asked!r} that {output_tensor} depends on; accepted: {_listed(reachable)}"
            )
    else:
        found = {_source(nodes, node.input[0]) for node in reachable if node.op in DECODE_OPERATIONS and node.input}
    if len(found) != 1:
        problem = f"several tensors are decoded ({', '.join(sorted(found))})" if found else "it decodes no image"
        raise InvalidGraphError(
            f"{output_tensor} has no single encoded image as its input: {problem}; accepted: a graph in which one scalar "
            f"string feeds {', '.join(sorted(DECODE_OPERATIONS))}, a placeholder of (batch, height, width, 1 or 3) pixels, or "
            "name the tensor with --input-tensor"
        )
    (tensor,) = found
    _check_scalar_string(nodes[producer(tensor)], tensor)
    others = [node.name for node in ancestors(graph, output_tensor, frozenset({tensor})) if _must_be_fed(node)]
    if others:
        raise InvalidGraphError(f"besides {tensor} it must be fed {', '.join(others[:5])}; accepted: one input")
    return tensor


def find_output(graph: Any, asked: str | None) -> str:
    """Finds the tensor with the scores: the one asked for, else `softmax:0`, else the only softmax.

    Raises:
        InvalidGraphError: The graph lacks it; names the tensors that it could be.
    """
    nodes = nodes_by_name(graph)
    wanted = tensor_name(asked or "softmax")
    if producer(wanted) in nodes and not wanted.startswith("^"):
        return wanted
    softmaxes = [node.name for node in graph.node if node.op == "Softmax"]
    if asked is None and len(softmaxes) == 1:
        return tensor_name(softmaxes[0])
    consumed = {producer(edge) for node in graph.node for edge in node.input}
    ends = [node.name for node in graph.node if node.op in ("Softmax", "Sigmoid")]
    ends += [
        n.name for n in graph.node if n.name not in consumed and n.op not in (*_SOURCES, "NoOp") and n.name not in ends
    ]
    listed = ", ".join(tensor_name(name) for name in ends[:8]) or "none"
    raise InvalidGraphError(f"it has no tensor {wanted}; name the output with --output-tensor; candidates: {listed}")


def _source(nodes: dict[str, Any], edge: str) -> str:
    """Follows an edge up through Identity nodes."""
    node = nodes.get(producer(edge))
    while node is not None and node.op in ("Identity", "StopGradient"):
        edge = node.input[0]
        node = nodes.get(producer(edge))
    return tensor_name(edge)


def _check_scalar_string(node: Any, tensor: str) -> None:
    if node.op not in _SOURCES:
        raise InvalidGraphError(f"{tensor} is made by {node.op}, so it cannot be fed; accepted: {', '.join(_SOURCES)}")
    dtype = node.attr["dtype"].type
    shape = node.attr["value"].tensor.tensor_shape if node.op == "Const" else node.attr["shape"].shape
    if dtype != _DT_STRING or (len(shape.dim) > 0 and not shape.unknown_rank):
        raise InvalidGraphError(f"{tensor} is not a scalar string; accepted: one encoded image, as fed to DecodeJpeg")


def _must_be_fed(node: Any) -> bool:
    return node.op in ("Placeholder", "PlaceholderV2")


def _listed(nodes: list[Any]) -> str:
    names = [tensor_name(node.name) for node in nodes if node.op in _SOURCES and node.attr["dtype"].type == _DT_STRING]
    return ", ".join(names[:8]) or "none (the graph takes no encoded image)"
