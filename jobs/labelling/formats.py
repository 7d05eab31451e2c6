"""Turning any accepted image into one that a frozen graph can decode: a JPEG or PNG that is upright.

A graph's decoder takes JPEG and PNG, and knows nothing of orientation. What it can take as it is goes to it unchanged, so
that its scores are its own; everything else becomes a PNG, which loses nothing.
"""

import io

from PIL import Image

from jobs.labelling.header import PILLOW_ERRORS, ImageHeader
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
    return _first_frame(encoded, header)


def _turned(encoded: bytes, orientation: int) -> bytes:
    """Turns a JPEG or PNG, decoded by TensorFlow as the graph would: other decoders of JPEG round otherwise."""
    import tensorflow as tf

    from jobs.models.frozen_graph import first_line

    try:
        frame = Image.fromarray(tf.io.decode_jpeg(encoded, channels=3).numpy())  # PNG too
    except tf.errors.InvalidArgumentError as error:
        raise ImageRejectedError("unreadable", first_line(error)) from None
    return _as_png(frame.transpose(_TURNS[orientation]))


def _first_frame(encoded: bytes, header: ImageHeader) -> bytes:
    """Decodes the first frame; what is transparent is shown on white."""
    try:
        with Image.open(io.BytesIO(encoded), formats=(header.format,)) as image:
            frame = image.transpose(_TURNS[header.orientation]) if header.orientation != 1 else image
            if frame.has_transparency_data:
                seen = frame.convert("RGBA")
                frame = Image.new("RGBA", seen.size, "white")
                frame.alpha_composite(seen)
            return _as_png(frame)
    except PILLOW_ERRORS as error:
        raise ImageRejectedError("unreadable", f"{type(error).__name__}: {error}"[:300]) from None


def _as_png(frame: Image.Image) -> bytes:
    content = io.BytesIO()
    rgb = frame if frame.mode == "RGB" else frame.convert("RGB")  # which copies even what is RGB
    rgb.save(content, "PNG", compress_level=_FAST)
    return content.getvalue()
