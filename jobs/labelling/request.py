"""What one run is asked to do: the command line, checked as a whole before anything is started."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import InvalidArgumentError
from jobs.labelling.destination import Destination
from jobs.labelling.header import ImageLimits
from jobs.labelling.model_source import GraphOnDisk, RegisteredGraph
from jobs.labelling.object_destination import ObjectDestination
from jobs.labelling.publication import AnyDestination, destination_of_day
from jobs.labelling.sources.options import ImageSource, source_from
from jobs.models.graph_plan import PixelFormat
from jobs.object_place import ObjectPlace, is_object_url
from jobs.workspace import Workspace


@dataclass(frozen=True)
class LabellingRequest:
    """One image set to label.

    Attributes:
        model: Where graph and labels come from.
        images: Where the images come from.
        features: The tensor to write the values of instead of labels; None to label.
        destination: Where labels and quarantine go.
        limits: The largest image that is decoded.
        top_k: Labels given for each image.
        batch_size: Images inferred at once by one core; None to find the fastest.
        reduced_decoding: Whether JPEGs that are far larger than the graph's input are decoded at a reduced scale.
        input_tensor: The scalar string, or batch of pixels, to feed; None to find it.
        output_tensor: The scores, or features, to fetch; None to find them.
        pixel_format: What the graph does not tell of its pixels, where it takes pixels.
        min_score: Labels with a lower score are left out, 0 to 1.
        sample: How many of the images to label; None for all.
        publish: Whether to publish; else it is left staged for a later step.
    """

    model: GraphOnDisk | RegisteredGraph
    images: ImageSource
    features: str | None
    destination: AnyDestination
    limits: ImageLimits
    top_k: int
    batch_size: int | None
    reduced_decoding: bool
    input_tensor: str | None
    output_tensor: str | None
    pixel_format: PixelFormat
    min_score: float = 0.0
    sample: int | None = None
    publish: bool = True


def request_from(options: argparse.Namespace) -> LabellingRequest:
    """Turns the command line into a request.

    Raises:
        InvalidArgumentError: An argument is missing, contradicts another, or is out of range.
    """
    for name in ("top_k", "batch_size", "max_megapixels", "max_megabytes"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise InvalidArgumentError(f"--{name.replace('_', '-')}: {value}; accepted: more than 0")
    if not 0 <= options.min_score <= 1:
        raise InvalidArgumentError(f"--min-score: {options.min_score:g}; accepted: 0 to 1")
    if options.sample is not None and options.sample < 1:
        raise InvalidArgumentError(f"--sample: {options.sample}; accepted: more than 0")
    _exactly_one(options.graph, options.model, "--graph or --model")
    _exactly_one(options.output, options.image_set, "--output, or --image-set with --date")
    if options.features:
        _check_features(options)
    else:
        _together(options.graph, "--graph", options.labels, "--labels")
    if options.synsets and not options.labels:
        raise InvalidArgumentError("--synsets: without --labels; accepted: both files of ImageNet's pair")
    _together(options.image_set, "--image-set", options.date, "--date")
    if options.model_version is not None and not options.model:
        raise InvalidArgumentError("--model-version: without --model; accepted: --model NAME --model-version N")
    workspace = Workspace.open(options.workspace)
    return LabellingRequest(
        model=RegisteredGraph(options.model, options.model_version, workspace)
        if options.model
        else GraphOnDisk(options.graph, options.labels, options.synsets),
        images=source_from(options, workspace),
        features=options.features,
        destination=_destination(options, workspace),
        limits=ImageLimits(options.max_megapixels, options.max_megabytes),
        top_k=options.top_k,
        batch_size=options.batch_size,
        reduced_decoding=options.reduced_decoding,
        input_tensor=options.input_tensor,
        output_tensor=options.features or options.output_tensor,
        pixel_format=PixelFormat(options.pixel_range, options.input_size),
        min_score=options.min_score,
        sample=options.sample,
        publish=options.publish == "now",
    )


def _check_features(options: argparse.Namespace) -> None:
    for name, value in (
        ("--output-tensor", options.output_tensor),
        ("--labels", options.labels),
        ("--min-score", options.min_score),
    ):
        if value:
            raise InvalidArgumentError(
                f"{name}: not used with --features, which writes a tensor's values; leave it out"
            )
    if not options.output:
        raise InvalidArgumentError("--features: without --output; accepted: a folder for features and quarantine")


def _destination(options: argparse.Namespace, workspace: Workspace) -> AnyDestination:
    if options.output and is_object_url(options.output):
        return ObjectDestination.in_folder(ObjectPlace.parse(options.output, "--output"), bool(options.features))
    if options.output:
        if "://" in options.output:
            raise InvalidArgumentError(f"--output: {options.output!r}; accepted: a folder, or s3://BUCKET/PREFIX")
        return Destination.in_folder(Path(options.output).expanduser().resolve(), bool(options.features))
    return destination_of_day(workspace, options.publish_as or options.image_set, options.date)


def _exactly_one(one: object, other: object, accepted: str) -> None:
    if bool(one) == bool(other):
        problem = "both given" if one else "missing"
        raise InvalidArgumentError(f"{problem}: exactly one is needed of {accepted}")


def _together(one: object, name: str, other: object, other_name: str) -> None:
    if bool(one) != bool(other):
        given, missing = (name, other_name) if one else (other_name, name)
        raise InvalidArgumentError(f"{missing}: missing; {given} needs it")
