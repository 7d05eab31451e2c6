"""Running any frozen GraphDef on encoded images: decoding image by image, inference in batches.

Importing this module imports TensorFlow: it belongs on executors.
"""

import re
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from jobs.models.aligned_pixels import aligned
from jobs.models.graph_front import with_decoder
from jobs.models.graph_plan import GraphPlan
from jobs.models.graph_reading import read_graph
from jobs.models.graph_rewrites import (
    REDUCTIONS,
    decode_reduced,
    decoded_pixels,
    reduction_for,
    resize_integers,
)
from jobs.models.graph_split import Part, batched_part, function_of, infer_shapes, part_between
from jobs.models.memory import release_memory

_JPEG_BEGINS = b"\xff\xd8"

_REWRITES = (
    "arithmetic_optimization",
    "auto_mixed_precision",
    "common_subgraph_elimination",
    "constant_folding",
    "debug_stripper",
    "dependency_optimization",
    "function_optimization",
    "implementation_selector",
    "layout_optimizer",
    "loop_optimization",
    "pin_to_host_optimization",
    "scoped_allocator_optimization",
    "shape_optimization",
)
"""TensorFlow's rewrites of a graph, but for the one that is wanted (tensorflow/core/grappler/optimizers)."""


class ImageDecodeError(Exception):
    """The graph cannot take an image; the message is the first line of TensorFlow's."""


class FrozenGraph:
    """A frozen graph, imported and ready; safe to call from several threads.

    Attributes:
        plan: Which tensors are fed and fetched.
    """

    def __init__(self, graph: Any, plan: GraphPlan) -> None:
        """Imports the graph: as it is where the plan has no cut, else in two parts.

        Args:
            graph: A `GraphDef`; left as it is.
            plan: How to run it.
        """
        self.plan = plan
        self._per_batch: Any = None
        self._from_pixels: Any = None
        self._reduced: dict[int, Any] = {}
        self._image_shape: tuple[int, int] | None = None
        per_image = part_between(graph, plan.input_tensor, tf.string, plan.cut_tensor or plan.output_tensor)
        if plan.cut_tensor is not None:
            inferred = infer_shapes(graph, plan.input_tensor, plan.output_tensor)
            shape = inferred.get_tensor_by_name(plan.cut_tensor).shape.as_list()
            self._per_batch = function_of(
                batched_part(graph, inferred, plan.cut_tensor, plan.output_tensor), (None, *shape[1:])
            )
            resize_integers(per_image.graph)
            if pixels := decoded_pixels(per_image.graph, per_image.fed):
                part = part_between(per_image.graph, pixels, tf.uint8, per_image.output)
                self._from_pixels = function_of(part, (None, None, 3))
            if plan.reduced_decoding and len(shape) == 4:
                self._image_shape = (shape[1], shape[2])
                self._reduced = _reduced_decoders(per_image)
        self._per_image = function_of(per_image, ())

    @property
    def takes_pixels(self) -> bool:
        """Whether `prepare_pixels` can be used."""
        return self._from_pixels is not None

    def prepare_pixels(self, pixels: NDArray[np.uint8]) -> Any:
        """Does what `prepare` does for a PNG of these pixels, without making and decoding one.

        Args:
            pixels: Of shape (height, width, 3), which may be a view in any order; only where `takes_pixels`.
        """
        # `tf.constant` would copy them twice.
        return self._from_pixels(tf.experimental.dlpack.from_dlpack(aligned(pixels).__dlpack__()))

    def prepare(self, encoded: bytes, size: tuple[int, int] | None = None) -> Any:
        """Does what must be done image by image; Python's lock is free while TensorFlow works.

        Args:
            encoded: One JPEG or PNG.
            size: Its width and height in pixels. A JPEG is decoded at a reduced scale only where the plan says so, and where
                this is given and large enough.

        Returns:
            A tensor for `scores`: `(1, ...)` at the cut, or the scores themselves where the graph is not split.

        Raises:
            ImageDecodeError: TensorFlow cannot decode the image.
        """
        decode = self._per_image
        if size and self._image_shape and encoded.startswith(_JPEG_BEGINS):
            decode = self._reduced.get(reduction_for(size, self._image_shape), decode)
        try:
            return decode(tf.constant(encoded))
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


def fuse_layers_only() -> None:
    """Lets TensorFlow fuse layers before a graph's first run in this process, and rewrite nothing else.

    Fusing a convolution with its bias and activation ("remapping") takes a quarter off the time of MobileNetV2. The other
    rewrites give a frozen graph nothing, and some 150 MB more are needed for them.
    """
    tf.config.optimizer.set_experimental_options(
        dict.fromkeys(_REWRITES, False) | {"remapping": True, "disable_model_pruning": True}
    )


def _reduced_decoders(per_image: Part) -> dict[int, Any]:
    """Imports the part before the cut once more for each scale at which a JPEG can be decoded."""
    decoders = {}
    for reduction in REDUCTIONS:
        graph = tf.compat.v1.GraphDef()
        graph.CopyFrom(per_image.graph)
        if not decode_reduced(graph, per_image.output, reduction):
            return {}
        decoders[reduction] = function_of(Part(graph, per_image.fed, per_image.dtype, per_image.output), ())
    return decoders


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
    graph = read_graph(content)
    if plan.pixels:
        graph, _ = with_decoder(graph, plan.pixels)
    if plan.cut_tensor is None:
        resize_integers(graph)  # else it is done to the part that is run image by image
    return keep_loaded(FrozenGraph(graph, plan))


def keep_loaded(graph: FrozenGraph) -> FrozenGraph:
    """Makes `load_graph` give this graph when it is asked for its plan; the one before it may go from memory."""
    global _loaded
    _loaded = graph
    release_memory()
    return graph


def first_line(error: BaseException) -> str:
    """Gives what TensorFlow has to say, without the names of its functions and the trace around it."""
    lines = [line.strip() for line in str(getattr(error, "message", error)).splitlines() if line.strip()]
    trace = next((number for number, line in enumerate(lines) if line.startswith("[[")), None)
    # From inside a function the message comes after "Graph execution error:" and a stack, just above the "[[{{node".
    said = lines[trace - 1] if trace else next(iter(lines), "")
    return re.sub(r"\{\{\w+ \S*\}\}\s*", "", said)[:300].strip() or type(error).__name__
