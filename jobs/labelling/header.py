"""What an image's header says, read before anything is decoded: a 1.6 MB JPEG can ask for 9 GB."""

import io
import struct
import warnings
from dataclasses import dataclass
from typing import Literal

from PIL import Image, UnidentifiedImageError

from jobs.labelling.rejection import ImageRejectedError

# The limit is ours to check; Pillow's own would warn at 89 and raise at 179 megapixels.
Image.MAX_IMAGE_PIXELS = None
# What is wrong with an image stands in its row, not among the warnings of an executor.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

ImageFormat = Literal["JPEG", "PNG", "GIF", "BMP", "WEBP"]

ACCEPTED_FORMATS: tuple[ImageFormat, ...] = ("JPEG", "PNG", "GIF", "BMP", "WEBP")

_MOST_SCANS = 100
"""Of a JPEG. Programs make a dozen; each is decoded over all pixels, so a file of thousands would take hours."""

_START_OF_SCAN = b"\xff\xda"
_ORIENTATION = 0x0112  # Exif 2.3, section 4.6.4
PILLOW_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    TypeError,
    IndexError,
    KeyError,
    OverflowError,
    struct.error,
)
"""What Pillow raises for an image that is none; it has no exception of its own for all of them."""


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


@dataclass(frozen=True)
class ImageHeader:
    """What is known of an image before it is decoded.

    Attributes:
        format: By its content, whatever the file is called.
        stored: Its size as it is stored.
        orientation: How it is to be turned to be upright: 1, as it is, to 8 (Exif 2.3, section 4.6.4).
    """

    format: ImageFormat
    stored: ImageSize
    orientation: int = 1

    @property
    def size(self) -> ImageSize:
        """Its size when it is upright."""
        return ImageSize(self.stored.height, self.stored.width) if self.orientation >= 5 else self.stored


def check_image(encoded: bytes, limits: ImageLimits) -> ImageHeader:
    """Reads an image's header and decides whether it may be decoded.

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
    header = _read(encoded)
    size = header.stored
    if size.pixels > limits.megapixels * 1e6:
        asked = f"{size.width} x {size.height} pixels are {size.pixels / 1e6:.0f} megapixels"
        raise ImageRejectedError("too_large", f"{asked}, over {limits.megapixels:g}")
    if header.format == "JPEG" and (scans := encoded.count(_START_OF_SCAN)) > _MOST_SCANS:
        raise ImageRejectedError("too_large", f"{scans} scans over its {size.pixels} pixels, over {_MOST_SCANS}")
    return header


def _read(encoded: bytes) -> ImageHeader:
    try:
        with Image.open(io.BytesIO(encoded), formats=ACCEPTED_FORMATS) as image:
            kind: ImageFormat = next((one for one in ACCEPTED_FORMATS if one == image.format), "JPEG")  # or MPO
            return ImageHeader(kind, ImageSize(*image.size), _orientation(image.info.get("exif")))
    except PILLOW_ERRORS as error:
        detail = "" if isinstance(error, UnidentifiedImageError) else f": {type(error).__name__}: {error}"
        accepted = ", ".join(ACCEPTED_FORMATS)
        raise ImageRejectedError("not_an_image", f"no header of one of {accepted}{detail}"[:300]) from None


def _orientation(exif: bytes | None) -> int:
    """Reads the orientation; what cannot be read leaves the image as it is, as every viewer does."""
    if not exif:
        return 1
    try:
        tags = Image.Exif()
        tags.load(exif)
        value = tags.get(_ORIENTATION, 1)
    except PILLOW_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
