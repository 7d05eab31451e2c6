"""The part of the command line that says where images come from, and how URLs are fetched."""

import argparse
import os

from jobs.errors import InvalidArgumentError
from jobs.labelling.fetching.addresses import Network, parse_network
from jobs.labelling.fetching.settings import FetchSettings
from jobs.labelling.schema import FEATURES, LABELS, QUARANTINE
from jobs.labelling.sources.encoded_column import EncodedColumn
from jobs.labelling.sources.folder import FolderOfImages
from jobs.labelling.sources.image_list import ListOfImages
from jobs.labelling.sources.image_set import IMAGE, LOCATION
from jobs.workspace import Workspace

ALLOWED_NETWORKS = "ATOLL_ALLOWED_NETWORKS"
"""Networks that may be reached for every run, separated by commas; for the person who runs the cluster."""

ImageSource = FolderOfImages | ListOfImages | EncodedColumn

_ONE_SOURCE = "--images, --image-list or --image-bytes"
_DEFAULTS = FetchSettings()
_TOO_LONG = 3600


def add_source_arguments(arguments: argparse.ArgumentParser) -> None:
    """Declares the arguments; `source_from` says which go together."""
    add = arguments.add_argument_group("images").add_argument
    add("--images", metavar="FOLDER", help="folder or URL of the images (default: the image set of the workspace)")
    add("--pattern", action="append", metavar="GLOB", help="only files like this, such as '*.jpg'; may be repeated")
    add("--image-list", metavar="FILE", help="a list of paths and URLs: .txt, .csv or .parquet")
    add("--image-bytes", metavar="FILE", help="Parquet, a file or folder, with the encoded images in --column")
    add("--column", metavar="NAME", help="the column of paths and URLs, or of encoded images")
    add("--name-column", metavar="NAME", help="the column that names encoded images (default: file and row)")
    add("--carry", action="append", metavar="NAME", help="a column to carry through to the output; may be repeated")
    add = arguments.add_argument_group("URLs").add_argument
    seconds = "seconds (default: %(default)g)"
    add("--connect-timeout", type=float, default=_DEFAULTS.connect_seconds, metavar="N", help=f"to connect, {seconds}")
    add("--read-timeout", type=float, default=_DEFAULTS.read_seconds, metavar="N", help=f"of silence, {seconds}")
    add("--fetch-timeout", type=float, default=_DEFAULTS.total_seconds, metavar="N", help=f"for one image, {seconds}")
    add("--redirects", type=int, default=_DEFAULTS.redirects, metavar="N", help="followed (default: %(default)s)")
    add("--retries", type=int, default=_DEFAULTS.retries, metavar="N", help="after a failure (default: %(default)s)")
    add("--fetches", type=int, default=_DEFAULTS.at_once, metavar="N", help="at once, per executor (%(default)s)")
    add("--fetches-per-host", type=int, default=_DEFAULTS.per_host, metavar="N", help="of these (default: %(default)s)")
    network = (
        f"may be reached though it is private, such as 10.1.0.0/16; may be repeated (default: ${ALLOWED_NETWORKS})"
    )
    add("--allow-network", action="append", metavar="CIDR", help=network)


def source_from(options: argparse.Namespace, workspace: Workspace) -> ImageSource:
    """Turns the command line into a source.

    Raises:
        InvalidArgumentError: An argument is missing, contradicts another, or is out of range.
    """
    given = [name for name in ("images", "image_list", "image_bytes") if getattr(options, name)]
    if len(given) > 1:
        raise InvalidArgumentError(f"{' and '.join(map(_flag, given))}: accepted: one of {_ONE_SOURCE}")
    fetch = _fetch_settings(options)
    kind = given[0] if given else "images"
    _refuse_unused(options, kind)
    carry = _carried(options)
    if kind == "image_list":
        return ListOfImages(options.image_list, options.column, carry, fetch)
    if kind == "image_bytes":
        if not options.column:
            raise InvalidArgumentError("--column: missing; accepted: the column of --image-bytes that holds the images")
        return EncodedColumn(options.image_bytes, options.column, options.name_column, carry)
    patterns = tuple(options.pattern or ())
    if options.images:
        return FolderOfImages(str(options.images), patterns, fetch)
    if not options.image_set:
        raise InvalidArgumentError(f"--images: missing; accepted: {_ONE_SOURCE}, or --image-set with --date")
    day = workspace.image_set(options.image_set, options.date)
    return FolderOfImages(str(day), patterns, fetch, may_hold_list=True)


def _refuse_unused(options: argparse.Namespace, kind: str) -> None:
    """Refuses an option that would have no effect: more likely a mistake than meant."""
    fits = {
        "pattern": ("images",),
        "column": ("image_list", "image_bytes"),
        "carry": ("image_list", "image_bytes"),
        "name_column": ("image_bytes",),
    }
    for name, kinds in fits.items():
        if getattr(options, name) and kind not in kinds:
            raise InvalidArgumentError(f"{_flag(name)}: accepted: with {' or '.join(map(_flag, kinds))}")


def _carried(options: argparse.Namespace) -> tuple[str, ...]:
    carry = tuple(options.carry or ())
    taken = {*LABELS.names, *FEATURES.names, *QUARANTINE.names, IMAGE, LOCATION}
    for name in carry:
        if name in taken:
            raise InvalidArgumentError(f"--carry: {name!r} is a column of the output already; accepted: another name")
        if carry.count(name) > 1:
            raise InvalidArgumentError(f"--carry: {name!r} is given twice; accepted: once")
    return carry


def _fetch_settings(options: argparse.Namespace) -> FetchSettings:
    for name in ("connect_timeout", "read_timeout", "fetch_timeout"):
        if not 0 < getattr(options, name) <= _TOO_LONG:
            raise InvalidArgumentError(f"{_flag(name)}: {getattr(options, name)}; accepted: above 0, to {_TOO_LONG} s")
    for name, least, most in (
        ("redirects", 0, 50),
        ("retries", 0, 50),
        ("fetches", 1, 512),
        ("fetches_per_host", 1, 512),
    ):
        if not least <= getattr(options, name) <= most:
            raise InvalidArgumentError(f"{_flag(name)}: {getattr(options, name)}; accepted: {least} to {most}")
    return FetchSettings(
        connect_seconds=options.connect_timeout,
        read_seconds=options.read_timeout,
        total_seconds=options.fetch_timeout,
        redirects=options.redirects,
        retries=options.retries,
        at_once=options.fetches,
        per_host=options.fetches_per_host,
        allowed_networks=_networks(options),
    )


def _networks(options: argparse.Namespace) -> tuple[Network, ...]:
    name, texts = "--allow-network", options.allow_network
    if not texts:
        name, texts = (
            ALLOWED_NETWORKS,
            [text for text in os.environ.get(ALLOWED_NETWORKS, "").split(",") if text.strip()],
        )
    try:
        return tuple(parse_network(text) for text in texts)
    except ValueError as error:
        raise InvalidArgumentError(f"{name}: {error}; accepted: a network such as 10.1.0.0/16") from None


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
