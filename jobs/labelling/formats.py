"""Turning any accepted image into one that a frozen graph can decode: a JPEG or PNG that is upright.

A graph's decoder takes JPEG and PNG, and knows nothing of orientation. What it can take as it is goes to it unchanged, so
that its scores are its own; everything else becomes a PNG, which loses nothing.
"""

import io
import struct
from typing import Any

from PIL import Image

from jobs.labelling.header import ImageHeader
from jobs.labelling.rejection import ImageRejectedError

_FAST = 1
"""Of zlib's levels: the PNG lives for a moment."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_UNDECODABLE = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    OverflowError,
    struct.error,
)


def for_graph(encoded: bytes, header: ImageHeader) -> bytes:
    """Gives a JPEG or PNG of the same pixels, upright; of an animation the first frame.

    Args:
        encoded: The image.
        header: What `check_image` said of it.

    Raises:
        ImageRejectedError: It is `unreadable`.
    """
    if header.format in ("JPEG", "PNG"):
        return encoded if header.orientation == 1 else _turned(encoded, header.orientation)
    return _png(encoded, header)


def _turned(encoded: bytes, orientation: int) -> bytes:
    """Turns an image, decoded by TensorFlow as the graph would: other decoders of JPEG round otherwise."""
    import tensorflow as tf

    try:
        pixels = tf.io.decode_jpeg(encoded, channels=3)  # PNG too
    except tf.errors.InvalidArgumentError as error:
        raise ImageRejectedError("unreadable", str(error.message).splitlines()[0][:300]) from None
    png: bytes = tf.io.encode_png(upright(pixels, orientation), compression=_FAST).numpy()
    return png


def upright(pixels: Any, orientation: int) -> Any:
    """Turns pixels as Exif 2.3, section 4.6.4, says.

    Args:
        pixels: A tensor of shape (height, width, channels), as stored.
        orientation: 1 to 8.
    """
    import tensorflow as tf

    if orientation >= 5:
        pixels = tf.transpose(pixels, (1, 0, 2))
    axes = {1: (), 2: (1,), 3: (0, 1), 4: (0,), 5: (), 6: (1,), 7: (0, 1), 8: (0,)}[orientation]
    return tf.reverse(pixels, axes) if axes else pixels


def _png(encoded: bytes, header: ImageHeader) -> bytes:
    """Decodes the first frame; what is transparent is shown on white."""
    content = io.BytesIO()
    try:
        with Image.open(io.BytesIO(encoded), formats=(header.format,)) as image:
            turn = _TURNS.get(header.orientation)
            frame = image if turn is None else image.transpose(turn)
            if frame.has_transparency_data:
                seen = frame.convert("RGBA")
                frame = Image.new("RGBA", seen.size, "white")
                frame.alpha_composite(seen)
            frame.convert("RGB").save(content, "PNG", compress_level=_FAST)
    except _UNDECODABLE as error:
        raise ImageRejectedError("unreadable", f"{type(error).__name__}: {error}"[:300]) from None
    return content.getvalue()
