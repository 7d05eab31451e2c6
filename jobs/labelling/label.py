"""Labelling one image set, from the list of its files to the published rows."""

import errno
import logging
import time
from collections import Counter

from pyspark import Broadcast, SparkContext

from jobs.errors import InvalidArgumentError, InvalidGraphError
from jobs.labelling.image_source import ImageSet, list_images, printable
from jobs.labelling.partition import (
    BroadcastModel,
    CheckedGraph,
    CheckGraph,
    LabelPartition,
    PartFiles,
    partition_count,
)
from jobs.labelling.pipeline import PipelineSettings
from jobs.labelling.progress import logged_progress
from jobs.labelling.publish import Staged, discard, publish, stage
from jobs.labelling.request import LabellingRequest
from jobs.models.graph_plan import DEFAULT_BATCH_SIZE, GraphPlan
from jobs.results import LabelledImageSet, QuarantineReason
from jobs.spark import ExecutorLayout, executor_count, spark_application

log = logging.getLogger("atoll")

_THREADS_PER_CORE = 2
"""Half of them wait for files while the others decode."""

_WORTH_TRYING = 2000
"""Images from which on it pays to try several batch sizes, which takes some seconds."""


def label_images(request: LabellingRequest) -> LabelledImageSet:
    """Labels every image of a set, or puts it in quarantine, and publishes both.

    Args:
        request: What to label with what, and where to.

    Returns:
        The counts; `images` is `labelled` + `quarantined`.

    Raises:
        InvalidArgumentError: A file cannot be read, the destination cannot be written, or the labels do not fit the graph.
        InvalidGraphError: The graph cannot be used.
        InvalidImageSetError: There are no images.
        ModelNotFoundError: The registry has no such model.
        AlreadyRunningError: Another driver labels into the same destination.
        PublishError: What was staged does not add up; nothing was published.
    """
    started = time.monotonic()
    model = request.model.load()
    images = list_images(request.images)
    log.info("labelling %d images of %s with %s", len(images.names), request.images, model.stamp.name)
    with request.destination.locked():
        staged = stage(request.destination)
        try:
            with spark_application("label_images") as (context, layout):
                parts = _label(context, layout, model, images, staged, request)
            counts = publish(request.destination, staged, parts, map(printable, images.names))
        except BaseException:
            if not request.destination.journal.exists():  # else it is decided, and the next run completes it
                discard(request.destination)
            raise
        result = _result(request, model, counts.labelled, counts.reasons, time.monotonic() - started)
        if request.destination.result:
            result.write(request.destination.result)
    return result


def _label(
    context: SparkContext,
    layout: ExecutorLayout,
    model: BroadcastModel,
    images: ImageSet,
    staged: Staged,
    request: LabellingRequest,
) -> list[PartFiles]:
    """Checks the graph in one task, then labels the images in others."""
    broadcast = context.broadcast(model)
    checked = _check_graph(context, layout, model, broadcast, len(images.names), request)
    top_k = None if request.features else request.top_k
    threads = layout.cores * _THREADS_PER_CORE
    settings = PipelineSettings(request.limits, checked.batch_size, top_k, threads, layout.cores)
    done, quarantined = context.accumulator(0), context.accumulator(0)
    places = (staged.labels, staged.quarantine)
    task = LabelPartition(broadcast, checked.plan, images.root, settings, layout.cores, *places, done, quarantined)
    partitions = partition_count(len(images.names), executor_count(context, layout))
    with logged_progress(len(images.names), lambda: done.value, lambda: quarantined.value):
        try:
            parts: list[PartFiles] = context.parallelize(images.names, partitions).mapPartitions(task).collect()
        except Exception as error:
            if "No space left on device" in str(error):  # on an executor, whose errors come as text
                raise OSError(errno.ENOSPC, "No space left on device", str(staged.labels)) from None
            raise
    return parts


def _check_graph(
    context: SparkContext,
    layout: ExecutorLayout,
    model: BroadcastModel,
    broadcast: Broadcast[BroadcastModel],
    images: int,
    request: LabellingRequest,
) -> CheckedGraph:
    """Lets an executor try the graph, and checks that the labels fit it."""
    check = CheckGraph(
        broadcast,
        request.input_tensor,
        request.output_tensor,
        request.pixel_format,
        layout.cores,
        request.batch_size or (DEFAULT_BATCH_SIZE if images < _WORTH_TRYING else None),
        request.reduced_decoding,
    )
    checked: CheckedGraph | str
    (checked,) = context.parallelize([None], 1).mapPartitions(check).collect()
    if isinstance(checked, str):
        raise InvalidGraphError(f"{model.stamp.name}: {checked}")
    if request.features is None:
        _check_labels(model, checked.plan)
    # One image at a time takes several times as long, so the person who waits should see it.
    level = logging.INFO if checked.plan.cut_tensor else logging.WARNING
    log.log(level, "graph %s: %s", model.stamp.graph_sha256[:12], checked.describe())
    return checked


def _check_labels(model: BroadcastModel, plan: GraphPlan) -> None:
    if not model.labels.fit(plan.classes):
        raise InvalidArgumentError(
            f"--labels: {len(model.labels.names)} lines, but {plan.output_tensor} of {model.stamp.name} gives {plan.classes} "
            f"scores; accepted: {plan.classes} lines"
        )


def _result(
    request: LabellingRequest,
    model: BroadcastModel,
    labelled: int,
    reasons: tuple[QuarantineReason, ...],
    seconds: float,
) -> LabelledImageSet:
    counted = Counter(reasons)
    images = labelled + len(reasons)
    why = ", ".join(f"{count} {reason}" for reason, count in counted.most_common())
    log.info(
        "published %s: %d images in %.0f s, %d labelled, %d quarantined%s",
        request.destination.labels,
        images,
        seconds,
        labelled,
        len(reasons),
        f" ({why})" if why else "",
    )
    return LabelledImageSet(
        model_name=model.stamp.name,
        model_version=model.stamp.version,
        graph_sha256=model.stamp.graph_sha256,
        images=images,
        labelled=labelled,
        quarantined=len(reasons),
        reasons=dict(counted),
        labels=str(request.destination.labels),
        quarantine=str(request.destination.quarantine),
        seconds=round(seconds, 3),
    )
