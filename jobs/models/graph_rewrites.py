"""Rewrites of a GraphDef that cost less: one leaves every number as it is, one is the user's choice."""

from typing import Any

from jobs.models.graph_topology import nodes_by_name, producer, tensor_name

_RESIZE_TO_FLOAT = ("ResizeBilinear", "ResizeBicubic", "ResizeArea")
"""Operations that take pixels of any type and give float32, whatever they are given."""

REDUCTIONS = (2, 4, 8)
"""How many pixels, along one side, a JPEG decoder can make into one (libjpeg, `scale_denom`)."""

_SAME_IN_ANY_TYPE = {"ExpandDims": "T", "Identity": "T", "PlaceholderWithDefault": "dtype"}
"""Operations that hand pixels on as they are, and the attribute with their type."""

_SAME_EVERYWHERE = (*_RESIZE_TO_FLOAT, *_SAME_IN_ANY_TYPE, "ResizeNearestNeighbor", "Round", "Cast")
"""Operations that treat all pixels alike, wherever they lie and however many there are."""

_RGB = 3
_DT_FLOAT, _DT_UINT8 = 1, 4  # tensorflow/core/framework/types.proto


def resize_integers(graph: Any) -> None:
    """Lets a resize take the decoder's bytes, where the graph turns them into floats first.

    The kernel turns each pixel that it reads into the same float. What is saved is a copy of the whole image in four
    times its size: 480 MB for one of 40 megapixels.

    Args:
        graph: A `GraphDef`; changed in place. What is no longer needed is left, and never run.
    """
    nodes = nodes_by_name(graph)
    for resize in [node for node in graph.node if node.op in _RESIZE_TO_FLOAT]:
        handed_on = []
        node = nodes.get(producer(resize.input[0]))
        while node is not None and node.op in _SAME_IN_ANY_TYPE:
            handed_on.append(node)
            node = nodes.get(producer(node.input[0]))
        if node is None or node.op != "Cast" or resize.attr["T"].type != _DT_FLOAT:
            continue
        if (node.attr["SrcT"].type, node.attr["DstT"].type) != (_DT_UINT8, _DT_FLOAT):
            continue
        pixels = tensor_name(node.input[0])
        for floats in reversed(handed_on):
            copy = graph.node.add()
            copy.CopyFrom(floats)
            copy.name = _unused(f"{floats.name}/of_bytes", nodes)
            copy.input[0] = pixels
            copy.attr[_SAME_IN_ANY_TYPE[floats.op]].type = _DT_UINT8
            nodes[copy.name] = copy
            pixels = tensor_name(copy.name)
        resize.input[0] = pixels
        resize.attr["T"].type = _DT_UINT8


def decode_reduced(graph: Any, output: str, reduction: int) -> bool:
    """Lets a JPEG be decoded at a reduced scale, where nothing but a resize comes between it and the output.

    Args:
        graph: A `GraphDef` that decodes one image; changed in place.
        output: The tensor that is reached, of images of one size.
        reduction: One of `REDUCTIONS`.

    Returns:
        False, with nothing changed, where another operation might depend on how many pixels there are.
    """
    nodes = nodes_by_name(graph)
    node, resized = nodes[producer(output)], False
    while node.op in _SAME_EVERYWHERE:
        resized = resized or node.op.startswith("Resize")
        node = nodes[producer(node.input[0])]
    if node.op != "DecodeJpeg" or not resized:
        return False
    node.attr["ratio"].i = reduction
    return True


def decoded_pixels(graph: Any, encoded: str) -> str | None:
    """Names the tensor with the decoder's pixels, where these alone decide all that follows.

    Args:
        graph: A `GraphDef`.
        encoded: Scalar string: one encoded image.

    Returns:
        `(height, width, 3)` of bytes; None where the decoder gives something else, or where there are several.
    """
    takers = [node for node in graph.node if encoded in map(tensor_name, node.input)]
    if len(takers) != 1 or takers[0].op not in ("DecodeJpeg", "DecodePng"):
        return None
    (decoder,) = takers
    kind = decoder.attr["dtype"].type if "dtype" in decoder.attr else _DT_UINT8
    whole = decoder.attr["ratio"].i in (0, 1) if "ratio" in decoder.attr else True
    return tensor_name(decoder.name) if decoder.attr["channels"].i == _RGB and kind == _DT_UINT8 and whole else None


def reduction_for(size: tuple[int, int], wanted: tuple[int, int]) -> int:
    """Gives the largest reduction that leaves at least as many pixels as the graph takes, in both directions; else 1.

    Args:
        size: Width and height of the image in pixels.
        wanted: Height and width that it is resized to.
    """
    width, height = size
    return max((one for one in REDUCTIONS if width >= one * wanted[1] and height >= one * wanted[0]), default=1)


def _unused(name: str, nodes: dict[str, Any]) -> str:
    while name in nodes:
        name += "_"
    return name
