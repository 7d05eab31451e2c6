"""From the bytes of an image file to the pixels that a network is trained on, the way that a frozen graph does it.

Importing this module imports TensorFlow: it belongs on executors.
"""

import io
import struct
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from jobs.labelling.header import ACCEPTED_FORMATS
from jobs.labelling.rejection import ImageRejectedError

_ORIENTATION = 0x0112  # the EXIF tag (CIPA DC-008, 4.6.4)


def decode_image(encoded: bytes, image_shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Decodes an image, turns it upright and resizes it, with the operations of `jobs.models.freezing.freeze`.

    Grey images get three equal channels where three are wanted; colours become grey where one is wanted; transparency is
    dropped; palettes, CMYK and 16 bits become 8 bits of RGB or grey. All that is libjpeg's and libpng's work, so a frozen graph
    sees the same.

    Args:
        encoded: A JPEG or PNG whose header has been checked.
        image_shape: Height, width and channels (1 or 3) to give.

    Returns:
        uint8 of `image_shape`; where the image is resized, rounded to the nearest.

    Raises:
        ImageRejectedError: It cannot be decoded: `unreadable`.
    """
    height, width, channels = image_shape
    try:
        pixels = _upright(_decode(encoded, channels), orientation(encoded))
        batch = tf.expand_dims(tf.cast(pixels, tf.float32), 0)
        resized = tf.raw_ops.ResizeBilinear(images=batch, size=(height, width))
    except tf.errors.InvalidArgumentError as error:
        raise ImageRejectedError("unreadable", _first_line(error)) from None
    image: NDArray[np.uint8] = np.rint(resized.numpy()[0]).astype(np.uint8)
    return image


def orientation(encoded: bytes) -> int:
    """Reads how an image is to be turned: EXIF's orientation, 1 (as it is) to 8; 1 where it says nothing."""
    try:
        with Image.open(io.BytesIO(encoded), formats=ACCEPTED_FORMATS) as image:
            described = image.info.get("exif")  # not getexif(), which decodes a PNG to its end to look for more
        if not described:
            return 1
        exif = Image.Exif()
        exif.load(described)
        value = exif.get(_ORIENTATION)
    except (OSError, ValueError, SyntaxError, TypeError, IndexError, KeyError, OverflowError, struct.error):
        return 1  # a camera's broken note is no reason to lose the picture
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _decode(encoded: bytes, channels: int) -> "tf.Tensor":
    try:
        return tf.raw_ops.DecodeJpeg(contents=encoded, channels=channels)  # the kernel behind this name decodes PNG too
    except tf.errors.InvalidArgumentError:
        if channels != 1:
            raise
        # libjpeg makes no grey of CMYK, only RGB.
        return tf.image.rgb_to_grayscale(tf.raw_ops.DecodeJpeg(contents=encoded, channels=3))


def _upright(pixels: Any, turned: int) -> Any:
    """Turns the pixels as EXIF's orientation says (CIPA DC-008, 4.6.4 A)."""
    if turned == 1:
        return pixels
    if turned >= 5:  # rows are columns
        pixels = tf.transpose(pixels, (1, 0, 2))
    rows, columns = turned in (3, 4, 7, 8), turned in (2, 3, 6, 7)
    return tf.reverse(pixels, [axis for axis, mirrored in enumerate((rows, columns)) if mirrored])


def _first_line(error: tf.errors.OpError) -> str:
    lines = [line.strip() for line in str(error.message).splitlines() if line.strip()]
    said = (lines or [type(error).__name__])[0].rpartition("}}")[2]
    return said.partition(" [Op:")[0].strip()[:300] or type(error).__name__
