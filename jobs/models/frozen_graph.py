"""Running any frozen GraphDef on encoded images: decoding image by image, inference in batches.

Importing this module imports TensorFlow: it belongs on executors.
"""

import ctypes
import gc
import hashlib
import re
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from jobs.errors import InvalidGraphError
from jobs.models.graph_operations import check_operations
from jobs.models.graph_plan import GraphPlan
from jobs.models.graph_split import batchable_tensors, batched_part, function_of, infer_shapes, part_between
from jobs.models.graph_topology import find_input, find_output
from jobs.models.sample_jpegs import sample_jpegs

_CUTS_TRIED = 4
"""A later cut leaves more of the graph unbatched; after this many it is not worth the imports."""

_ABSOLUTE_TOLERANCE, _RELATIVE_TOLERANCE = 1e-5, 1e-4
"""Kernels sum in another order for another batch size; a graph that mixes the images of a batch is far outside."""

_FAILURES = (tf.errors.OpError, ValueError, TypeError, KeyError)
"""What importing or running a graph that does not fit raises."""


class ImageDecodeError(Exception):
    """The graph cannot take an image; the message is the first line of TensorFlow's."""


class FrozenGraph:
    """A frozen graph, imported and ready; safe to call from several threads.

    Attributes:
        plan: Which tensors are fed and fetched.
    """

    def __init__(self, graph: Any, plan: GraphPlan) -> None:
        self.plan = plan
        end = plan.cut_tensor or plan.output_tensor
        self._per_image = function_of(part_between(graph, plan.input_tensor, tf.string, end), ())
        self._per_batch = None
        if plan.cut_tensor is not None:
            inferred = infer_shapes(graph, plan.input_tensor, plan.output_tensor)
            shape = inferred.get_tensor_by_name(plan.cut_tensor).shape.as_list()
            part = batched_part(graph, inferred, plan.cut_tensor, plan.output_tensor)
            self._per_batch = function_of(part, (None, *shape[1:]))

    def prepare(self, encoded: bytes) -> Any:
        """Does what must be done image by image; Python's lock is free while TensorFlow works.

        Args:
            encoded: One JPEG or PNG.

        Returns:
            A tensor for `scores`: `(1, ...)` at the cut, or the scores themselves where the graph is not split.

        Raises:
            ImageDecodeError: TensorFlow cannot decode the image.
        """
        try:
            return self._per_image(tf.constant(encoded))
        except tf.errors.InvalidArgumentError as error:
            raise ImageDecodeError(first_line(error)) from None

    def scores(self, prepared: list[Any]) -> NDArray[np.float32]:
        """Infers a batch.

        Args:
            prepared: What `prepare` gave for each image; at least one.

        Returns:
            Scores of shape (images, classes).

        Raises:
            ImageDecodeError: TensorFlow refuses the batch.
        """
        if self._per_batch is None:
            return np.stack([np.asarray(one, np.float32).reshape(-1) for one in prepared])
        try:
            output = self._per_batch(tf.concat(prepared, axis=0))
        except tf.errors.InvalidArgumentError as error:
            raise ImageDecodeError(first_line(error)) from None
        return np.asarray(output, np.float32).reshape(len(prepared), -1)


def run_graphs_unchanged() -> None:
    """Keeps TensorFlow from rewriting graphs before their first run, in this process.

    It takes some 200 MB more for a graph of 14 MB, and a frozen graph is no faster for it (MobileNetV2, ResNet50).
    """
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def read_graph(content: bytes) -> Any:
    """Parses a GraphDef and checks its operations.

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
    return graph


def plan_graph(content: bytes, input_tensor: str | None = None, output_tensor: str | None = None) -> GraphPlan:
    """Works out how a graph is run, and tries it: in batches only where that gives what one image at a time gives.

    Args:
        content: A serialised GraphDef.
        input_tensor: The scalar string to feed, or None for the one that feeds the image decoder.
        output_tensor: The scores to fetch, or None for `softmax:0`.

    Raises:
        InvalidGraphError: It is not a GraphDef, is not allowed, lacks a tensor, or fails on an ordinary JPEG.
    """
    graph = read_graph(content)
    output = find_output(graph, output_tensor)
    encoded = find_input(graph, output, input_tensor)
    digest = hashlib.sha256(content).hexdigest()
    samples = sample_jpegs()
    try:
        expected = _one_at_a_time(graph, GraphPlan(digest, encoded, output, None, 0), samples)
        cuts = list(batchable_tensors(graph, infer_shapes(graph, encoded, output), encoded, output))
    except (*_FAILURES, ImageDecodeError) as error:
        raise InvalidGraphError(f"it cannot be run on an ordinary JPEG: {first_line(error)}") from None
    reason = "no tensor that all paths pass has a fixed shape"
    for cut in cuts[:_CUTS_TRIED]:
        plan = GraphPlan(digest, encoded, output, cut, expected.shape[1])
        problem = _difference(graph, plan, samples, expected)
        if problem is None:
            return plan
        reason = f"at {cut}, {problem}"
    return GraphPlan(digest, encoded, output, None, expected.shape[1], reason)


def _one_at_a_time(graph: Any, plan: GraphPlan, samples: list[bytes]) -> NDArray[np.float32]:
    """Gives what a split is judged by; the whole graph is gone from memory before the split one is made."""
    whole = FrozenGraph(graph, plan)
    scores = whole.scores([whole.prepare(sample) for sample in samples])
    del whole
    _release_memory()
    return scores


def _difference(graph: Any, plan: GraphPlan, samples: list[bytes], expected: NDArray[np.float32]) -> str | None:
    """Says how the split graph differs from the whole one, fed one image at a time; None where it does not."""
    try:
        split = _keep(FrozenGraph(graph, plan))
        prepared = [split.prepare(sample) for sample in samples]
        if any(one.shape[0] != 1 for one in prepared):
            return "the first dimension is not the batch"
        together = split.scores(prepared)
        alone = split.scores(prepared[:1])
        _release_memory()
    except (*_FAILURES, ImageDecodeError) as error:
        return f"a batch fails: {first_line(error)}"
    for got, wanted in ((together, expected), (alone, expected[:1])):
        if got.shape != wanted.shape or not np.allclose(
            got, wanted, rtol=_RELATIVE_TOLERANCE, atol=_ABSOLUTE_TOLERANCE
        ):
            return "a batch gives other scores than its images one at a time"
    return None


_loaded: FrozenGraph | None = None
"""The last graph imported, since a worker serves one application."""


def load_graph(content: bytes, plan: GraphPlan) -> FrozenGraph:
    """Imports a graph once per Python worker process; the same graph and plan give the same object.

    Args:
        content: The serialised GraphDef that `plan` was made for.
        plan: What `plan_graph` gave, here or on another executor.
    """
    if _loaded is not None and _loaded.plan == plan:
        return _loaded
    return _keep(FrozenGraph(read_graph(content), plan))


def _keep(graph: FrozenGraph) -> FrozenGraph:
    global _loaded
    _loaded = graph
    _release_memory()
    return graph


def first_line(error: BaseException) -> str:
    """Gives what TensorFlow has to say, without the names of its functions and the trace around it."""
    lines = [line.strip() for line in str(getattr(error, "message", error)).splitlines() if line.strip()]
    trace = next((number for number, line in enumerate(lines) if line.startswith("[[")), None)
    # From inside a function the message comes after "Graph execution error:" and a stack, just above the "[[{{node".
    said = lines[trace - 1] if trace else next(iter(lines), "")
    return re.sub(r"\{\{\w+ \S*\}\}\s*", "", said)[:300].strip() or type(error).__name__


def _release_memory() -> None:
    """Gives freed memory back to the system: importing a graph leaves several times its size behind in free lists."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return  # not glibc, where it is not needed
