"""What an image's header says, read before anything is decoded: a 1.6 MB JPEG can ask for 9 GB."""

import io
import struct
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from jobs.labelling.rejection import ImageRejectedError

# The limit is ours to check; Pillow's own would warn at 89 and raise at 179 megapixels.
Image.MAX_IMAGE_PIXELS = None

ACCEPTED_FORMATS = ("JPEG", "PNG")


@dataclass(frozen=True)
class ImageLimits:
    """The largest image that is decoded.

    Attributes:
        megapixels: Width times height, in millions.
        megabytes: Size of the encoded image, in millions of bytes.
    """

    megapixels: float
    megabytes: float

    @property
    def bytes(self) -> int:
        """Size of the encoded image in bytes."""
        return int(self.megabytes * 1e6)


@dataclass(frozen=True)
class ImageSize:
    """Width and height in pixels."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


def check_image(encoded: bytes, limits: ImageLimits) -> ImageSize:
    """Reads an image's size from its header and decides whether it may be decoded.

    Args:
        encoded: The file's content; one byte more than the limit is enough to see that there is too much.
        limits: The largest image that may be decoded.

    Raises:
        ImageRejectedError: It is `empty`, `too_large`, or `not_an_image`.
    """
    if not encoded:
        raise ImageRejectedError("empty", "zero bytes")
    if len(encoded) > limits.bytes:
        raise ImageRejectedError("too_large", f"more than {limits.megabytes:g} MB")
    try:
        with Image.open(io.BytesIO(encoded), formats=ACCEPTED_FORMATS) as image:
            size = ImageSize(*image.size)
    except (OSError, ValueError, SyntaxError, TypeError, IndexError, KeyError, OverflowError, struct.error) as error:
        detail = "" if isinstance(error, UnidentifiedImageError) else f": {type(error).__name__}: {error}"
        accepted = " or ".join(ACCEPTED_FORMATS)
        raise ImageRejectedError("not_an_image", f"no header of a {accepted}{detail}"[:300]) from None
    if size.pixels > limits.megapixels * 1e6:
        asked = f"{size.width} x {size.height} pixels are {size.pixels / 1e6:.0f} megapixels"
        raise ImageRejectedError("too_large", f"{asked}, over {limits.megapixels:g}")
    return size
