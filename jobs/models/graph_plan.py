"""How a frozen graph is run: a small record that travels from the executor that checked the graph to all the others.

It lives apart from `frozen_graph` so that the driver can hold one without importing TensorFlow (about 790 MB).
"""

from dataclasses import dataclass

DEFAULT_BATCH_SIZE = 8
"""Images that one core infers at once where nothing better is known: what they become stays in its cache."""

_WORTH_TRYING = 2000
"""Images from which on it pays to try several batch sizes, which takes some seconds."""


@dataclass(frozen=True)
class PixelFormat:
    """What a user says of a graph that takes pixels, where the graph itself does not.

    Attributes:
        range: Values of black and of white, such as (0, 1); None where they are those of bytes.
        size: Height and width; None where the graph knows.
    """

    range: tuple[float, float] | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class PixelInput:
    """A placeholder that takes a batch of images as pixels, `(batch, height, width, channels)`.

    Attributes:
        tensor: Its name.
        integers: Whether it takes bytes, not floats.
        height: In pixels.
        width: In pixels.
        channels: 1 or 3.
        low: Value of black.
        high: Value of white.
    """

    tensor: str
    integers: bool
    height: int
    width: int
    channels: int
    low: float
    high: float


@dataclass(frozen=True)
class GraphPlan:
    """The tensors of a frozen graph that matter.

    Attributes:
        sha256: Of the GraphDef's bytes, in hexadecimal.
        input_tensor: Scalar string: one encoded image.
        output_tensor: The scores of one image; `classes` numbers.
        cut_tensor: Where the graph is split: up to here image by image, `(1, ...)`; from here on in batches, `(batch,
            ...)`. None where the graph must be fed one image at a time.
        classes: How many scores an image gets.
        unbatched_because: Why the graph is fed one image at a time; empty where it is split.
        pixels: Where a decoder was put in front, since the graph takes pixels; None where it decodes itself.
        reduced_decoding: Whether JPEGs that are far larger than what is cut are decoded at a half, a quarter or an eighth.
    """

    sha256: str
    input_tensor: str
    output_tensor: str
    cut_tensor: str | None
    classes: int
    unbatched_because: str = ""
    pixels: PixelInput | None = None
    reduced_decoding: bool = False

    def describe(self) -> str:
        """Says in one line how the graph is run."""
        if self.cut_tensor is None:
            how = f"one image at a time: {self.unbatched_because}"
        else:
            how = f"in batches from {self.cut_tensor} on"
        first = f"{self.pixels.tensor} as pixels" if self.pixels else self.input_tensor
        return f"{first} -> {self.output_tensor} ({self.classes} classes), {how}"


def usual_batch_size(images: int) -> int | None:
    """Gives the batch size for so few images that none is worth trying; None where several are."""
    return DEFAULT_BATCH_SIZE if images < _WORTH_TRYING else None
