"""Working out how a frozen graph is run, by trying it. Importing this module imports TensorFlow."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from jobs.errors import InvalidGraphError
from jobs.models.frozen_graph import FrozenGraph, ImageDecodeError, first_line, keep_loaded
from jobs.models.graph_front import find_pixel_input, with_decoder
from jobs.models.graph_plan import GraphPlan, PixelFormat
from jobs.models.graph_reading import read_graph
from jobs.models.graph_split import batchable_tensors, infer_shapes
from jobs.models.graph_topology import find_input, find_output
from jobs.models.memory import release_memory
from jobs.models.sample_jpegs import sample_jpegs

_CUTS_TRIED = 4
"""A later cut leaves more of the graph unbatched; after this many it is not worth the imports."""

_TOLERANCE = 1e-5
"""Of the largest score, or of 1. Kernels sum in another order for another batch size; a graph that mixes the images of a batch
is far outside."""

_FAILURES = (tf.errors.OpError, ValueError, TypeError, KeyError)
"""What importing or running a graph that does not fit raises."""


def plan_graph(
    content: bytes,
    input_tensor: str | None = None,
    output_tensor: str | None = None,
    pixel_format: PixelFormat | None = None,
) -> GraphPlan:
    """Works out how a graph is run, and tries it: in batches only where that gives what one image at a time gives.

    Args:
        content: A serialised GraphDef.
        input_tensor: The scalar string to feed, or the placeholder that takes a batch of images as pixels; None for the one
            that feeds the image decoder, or else takes pixels.
        output_tensor: The scores to fetch, or None for `softmax:0` or the only softmax.
        pixel_format: What the graph does not tell of its pixels, where it takes pixels.

    Raises:
        InvalidGraphError: It is not a GraphDef, is not allowed, lacks a tensor, or fails on an ordinary JPEG.
    """
    graph, whole = find_ends(content, input_tensor, output_tensor, pixel_format or PixelFormat())
    samples = sample_jpegs()
    try:
        expected = _one_at_a_time(graph, whole, samples)
        cuts = list(_batchable(graph, whole))
    except (*_FAILURES, ImageDecodeError) as error:
        raise InvalidGraphError(f"it cannot be run on an ordinary JPEG: {first_line(error)}") from None
    reason = "no tensor that all paths pass has a fixed shape"
    for cut in cuts[:_CUTS_TRIED]:
        plan = replace(whole, cut_tensor=cut, classes=expected.shape[1])
        problem = _difference(graph, plan, samples, expected)
        if problem is None:
            return plan
        reason = f"at {cut}, {problem}"
    return replace(whole, classes=expected.shape[1], unbatched_because=reason)


def find_ends(
    content: bytes, input_tensor: str | None, output_tensor: str | None, pixel_format: PixelFormat
) -> tuple[Any, GraphPlan]:
    """Finds what is fed and what is fetched, as `plan_graph` does, and tries nothing.

    Returns:
        The graph, with a decoder in front where it takes pixels; and a plan without a cut, whose classes are not known.

    Raises:
        InvalidGraphError: It is not a GraphDef, is not allowed, or lacks a tensor.
    """
    graph = read_graph(content)
    output = find_output(graph, output_tensor)
    pixels = find_pixel_input(graph, output, input_tensor, pixel_format)
    if pixels:
        graph, input_tensor = with_decoder(graph, pixels)
    encoded = find_input(graph, output, input_tensor)
    return graph, GraphPlan(hashlib.sha256(content).hexdigest(), encoded, output, None, 0, pixels=pixels)


def _batchable(graph: Any, plan: GraphPlan) -> Iterator[str]:
    inferred = infer_shapes(graph, plan.input_tensor, plan.output_tensor)
    return batchable_tensors(graph, inferred, plan.input_tensor, plan.output_tensor)


def _one_at_a_time(graph: Any, plan: GraphPlan, samples: list[bytes]) -> NDArray[np.float32]:
    """Gives what a split is judged by; the whole graph is gone from memory before the split one is made."""
    whole = FrozenGraph(graph, plan)
    scores = whole.scores([whole.prepare(sample) for sample in samples])
    del whole
    release_memory()
    return scores


def _difference(graph: Any, plan: GraphPlan, samples: list[bytes], expected: NDArray[np.float32]) -> str | None:
    """Says how the split graph differs from the whole one, fed one image at a time; None where it does not."""
    try:
        split = keep_loaded(FrozenGraph(graph, plan))
        prepared = [split.prepare(sample) for sample in samples]
        if any(one.shape[0] != 1 for one in prepared):
            return "the first dimension is not the batch"
        together = split.scores(prepared)
        alone = split.scores(prepared[:1])
        release_memory()
    except (*_FAILURES, ImageDecodeError) as error:
        return f"a batch fails: {first_line(error)}"
    for got, wanted in ((together, expected), (alone, expected[:1])):
        tolerance = _TOLERANCE * max(1.0, float(np.abs(wanted).max(initial=0)))
        if got.shape != wanted.shape or not np.allclose(got, wanted, rtol=0, atol=tolerance):
            return "a batch gives other scores than its images one at a time"
    return None
