"""spark-submit application: label an image set with a frozen graph that is broadcast to the executors."""

import argparse
import sys
from datetime import date
from pathlib import Path

# The folder of this script is on the path by default, and its sub-packages would shadow others of the same names.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from jobs import application
from jobs.labelling.graph_options import add_graph_arguments
from jobs.labelling.label import label_images
from jobs.labelling.request import request_from
from jobs.labelling.sources.options import add_source_arguments
from jobs.results import LabelledImageSet


def main(options: argparse.Namespace) -> LabelledImageSet:
    """Labels the images that `options` names."""
    return label_images(request_from(options))


def parser() -> argparse.ArgumentParser:
    """Declares the arguments; `request_from` says which go together."""
    arguments = application.Arguments(prog="label_images", description=__doc__)
    add = arguments.add_argument
    add("--graph", type=Path, metavar="FILE", help="a GraphDef, a SavedModel's folder or a .keras file; or --model")
    add("--labels", type=Path, metavar="FILE", help="its labels, one per line, in the order of its outputs")
    add("--model", metavar="NAME", help="a model of the registry; or use --graph and --labels")
    add("--model-version", type=int, metavar="N", help="its version (default: the champion)")
    add("--output", metavar="FOLDER", help="where labels, quarantine and result.json go; or use --image-set, --date")
    add("--image-set", metavar="NAME", help="name of the image set in the workspace")
    add("--date", type=day, metavar="YYYY-MM-DD", help="day of the image set")
    add("--top-k", type=int, default=5, metavar="N", help="labels for each image (default: %(default)s)")
    add("--min-score", type=float, default=0, metavar="X", help="labels with a lower score are left out (%(default)s)")
    add("--sample", type=int, metavar="N", help="label only N of the images, the same each time (default: all)")
    add("--publish", choices=("now", "later"), default="now", help="later: leave it staged (default: %(default)s)")
    add("--publish-as", metavar="NAME", help="publish into the workspace under this name (default: the image set's)")
    add("--max-megapixels", type=float, default=40, metavar="N", help="larger images are not decoded (%(default)s)")
    add("--max-megabytes", type=float, default=50, metavar="N", help="larger files are not read (%(default)s)")
    add_graph_arguments(arguments)
    add_source_arguments(arguments)
    return arguments


def day(text: str) -> date:
    """Reads a day.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; accepted: YYYY-MM-DD") from None


if __name__ == "__main__":
    application.run(main, parser())
