"""From the bytes of an image file to the pixels that a network is trained on: those that its frozen graph will see.

Importing this module imports TensorFlow: it belongs on executors.
"""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from jobs.labelling.rejection import ImageRejectedError
from jobs.models.freezing import decode_and_resize


def decode_image(encoded: bytes, image_shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Decodes an image and resizes it with the operations of a frozen graph.

    Grey images get three equal channels where three are wanted; colours become grey where one is wanted; transparency is
    dropped; palettes and 16 bits become 8 bits of RGB or grey. CMYK becomes RGB; grey it cannot become.

    Args:
        encoded: A JPEG or PNG whose header has been checked.
        image_shape: Height, width and channels (1 or 3) to give.

    Returns:
        uint8 of `image_shape`.

    Raises:
        ImageRejectedError: It cannot be decoded: `unreadable`.
    """
    try:
        decoded = decode_and_resize(encoded, image_shape)
    except tf.errors.InvalidArgumentError as error:
        raise ImageRejectedError("unreadable", _first_line(error)) from None
    image: NDArray[np.uint8] = decoded.numpy()[0].astype(np.uint8)
    return image


def _first_line(error: tf.errors.OpError) -> str:
    lines = [line.strip() for line in str(error.message).splitlines() if line.strip()]
    said = (lines or [type(error).__name__])[0].rpartition("}}")[2]
    return said.partition(" [Op:")[0].strip()[:300] or type(error).__name__
