"""The arguments that say how a graph is fed, and how it is run."""

import argparse
import math
from pathlib import Path


def add_graph_arguments(arguments: argparse.ArgumentParser) -> None:
    """Declares them."""
    add = arguments.add_argument
    add(
        "--synsets",
        type=Path,
        metavar="FILE",
        help="names of the synsets that --labels maps classes to (ImageNet, 2015)",
    )
    add("--input-tensor", metavar="NAME", help="the encoded image, or a batch of pixels (default: found)")
    add("--output-tensor", metavar="NAME", help="the scores (default: softmax:0, or the only softmax)")
    add("--features", metavar="TENSOR", help="write the values of this tensor instead of labels")
    add("--pixel-range", type=pixel_range, metavar="LOW,HIGH", help="black and white of a graph that takes floats")
    add("--input-size", type=input_size, metavar="HEIGHT,WIDTH", help="of a graph that takes pixels of any size")
    add("--batch-size", type=int, metavar="N", help="images inferred at once by a core (default: the fastest)")
    add(
        "--reduced-decoding",
        action="store_true",
        help="decode JPEGs far larger than the graph's input at 1/2, 1/4 or 1/8",
    )


def pixel_range(text: str) -> tuple[float, float]:
    """Reads the values of black and of white.

    Raises:
        argparse.ArgumentTypeError: They are not two different numbers.
    """
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if low == high or not (math.isfinite(low) and math.isfinite(high)):
        raise argparse.ArgumentTypeError(f"{text!r}; accepted: two different numbers, such as --pixel-range=-1,1")
    return low, high


def input_size(text: str) -> tuple[int, int]:
    """Reads a height and a width in pixels.

    Raises:
        argparse.ArgumentTypeError: They are not two whole numbers from 1 to 10000.
    """
    try:
        height, width = (int(part) for part in text.split(","))
    except ValueError:
        height = width = 0
    if not (1 <= height <= 10000 and 1 <= width <= 10000):
        raise argparse.ArgumentTypeError(f"{text!r}; accepted: height and width, each 1 to 10000, such as 224,224")
    return height, width
