"""Labelling one image set, from the list of its files to the published rows."""

import errno
import logging
import os
import re
import time
from dataclasses import replace

from pyspark import Broadcast, SparkContext

from jobs.errors import InvalidArgumentError, InvalidGraphError, ServiceUnavailableError
from jobs.executor_watch import watched_executors
from jobs.files import named_in_errors
from jobs.labelling.counts import Counts
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
from jobs.labelling.publication import Publication, StagedRun, publication_into
from jobs.labelling.request import LabellingRequest
from jobs.labelling.sample import sample_positions
from jobs.labelling.sources.image_set import ImageSet
from jobs.models.graph_plan import GraphPlan, usual_batch_size
from jobs.results import LabelledImageSet
from jobs.spark import ExecutorLayout, executor_count, spark_application

log = logging.getLogger("atoll")

_LABELS_REPORTED = 100
"""In the result, which travels through Airflow's database."""


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
    images = _asked_for(request.images.load(), request.sample)
    log.info("labelling %d images of %s with %s", len(images), request.images, model.stamp.name)
    publication = publication_into(request.destination)
    with publication.locked():
        with named_in_errors(request.destination.labels.parent, "nothing was published"):
            staged, counts, speed = _stage_and_publish(request, publication, model, images)
        result = _result(
            request, model, counts, None if request.publish else staged.run, speed, time.monotonic() - started
        )
        place = request.destination.result or request.destination.labels.parent
        with named_in_errors(place, "labels and quarantine are complete, this file is not new"):
            publication.leave(result)
        return result


def _stage_and_publish(
    request: LabellingRequest, publication: Publication, model: BroadcastModel, images: ImageSet
) -> tuple[StagedRun, Counts, float]:
    """Leaves nothing staged where anything fails; the lock must be held."""
    staged = publication.stage()
    try:
        with spark_application("label_images") as (context, layout), watched_executors(context, layout):
            parts, speed = _label(context, layout, model, images, staged, request)
        finish = staged.publish if request.publish else staged.seal
        return staged, finish(parts, images.names(), images.carried), speed
    except BaseException:
        staged.abandon()
        raise


def _asked_for(images: ImageSet, sample: int | None) -> ImageSet:
    if sample is None:
        return images
    return replace(images, images=images.images.take(sample_positions(images.names(), sample)))


def _label(
    context: SparkContext,
    layout: ExecutorLayout,
    model: BroadcastModel,
    images: ImageSet,
    staged: StagedRun,
    request: LabellingRequest,
) -> tuple[list[PartFiles], float]:
    """Checks the graph in one task, then labels the images in others; gives images per second of the latter too."""
    broadcast = context.broadcast(model)
    checked = _check_graph(context, layout, model, broadcast, len(images), request)
    settings = PipelineSettings.on_cores(
        layout.cores,
        request.limits,
        checked.batch_size,
        top_k=None if request.features else request.top_k,
        reads_at_once=images.reading.at_once,
    )
    done, quarantined = context.accumulator(0), context.accumulator(0)
    task = LabelPartition(
        broadcast, checked.plan, images.reading, settings, layout.cores, staged.labels, staged.quarantine, done,
        quarantined, request.min_score,
    )  # fmt: skip
    count = partition_count(len(images), executor_count(context, layout), images.smallest_partition)
    started = time.monotonic()
    with logged_progress(len(images), lambda: done.value, lambda: quarantined.value):
        try:
            parts: list[PartFiles] = context.parallelize(images.partitions(count), count).mapPartitions(task).collect()
        except Exception as error:
            if told := _told_by_executor(str(error), staged):
                raise told from None
            raise
    return parts, len(images) / (time.monotonic() - started)


def _told_by_executor(error: str, staged: StagedRun) -> Exception | None:
    """Finds in the text of a failed task what can be mended: a full disk, or an object store that executors cannot use."""
    for full in (errno.ENOSPC, errno.EDQUOT):
        if os.strerror(full) in error:
            return OSError(full, os.strerror(full), str(staged.labels.parent))
    for kind in (InvalidArgumentError, ServiceUnavailableError):
        if said := re.search(rf"{kind.__module__}\.{kind.__name__}: (s3://.*)", error):
            return kind(f"an executor: {said[1]}")
    return None


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
        request.batch_size or usual_batch_size(images),
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
    request: LabellingRequest, model: BroadcastModel, counts: Counts, staged: str | None, speed: float, seconds: float
) -> LabelledImageSet:
    images = counts.labelled + counts.quarantined
    why = ", ".join(f"{count} {reason}" for reason, count in counts.reasons.most_common())
    log.info(
        "%s %s: %d images in %.0f s, %.0f images/s, %d labelled, %d quarantined%s",
        "staged, not yet published," if staged else "published",
        request.destination.labels,
        images,
        seconds,
        speed,
        counts.labelled,
        counts.quarantined,
        f" ({why})" if why else "",
    )
    return LabelledImageSet(
        model_name=model.stamp.name,
        model_version=model.stamp.version,
        graph_sha256=model.stamp.graph_sha256,
        study=model.stamp.study,
        dataset_fingerprint=model.stamp.dataset_fingerprint,
        source=str(request.images),
        images=images,
        labelled=counts.labelled,
        quarantined=counts.quarantined,
        reasons=dict(counts.reasons),
        most_frequent=dict(counts.labels.most_common(_LABELS_REPORTED)),
        distinct_labels=len(counts.labels),
        confidence=counts.confidence,
        labels=str(request.destination.labels),
        quarantine=str(request.destination.quarantine),
        seconds=round(seconds, 3),
        images_per_second=round(speed, 2),
        staged=staged,
    )
