"""Turning any accepted image into one that a frozen graph can decode: a JPEG or PNG that is upright.

A graph's decoder takes JPEG and PNG, and knows nothing of orientation. What it can take as it is goes to it unchanged, so
that its scores are its own; everything else becomes a PNG, which loses nothing.
"""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.labelling.header import PILLOW_ERRORS, ImageHeader, ImageLimits, ImageSize, check_image
from jobs.labelling.png import bands, png_of
from jobs.labelling.rejection import ImageRejectedError
from jobs.labelling.webp import first_frame_of, is_animated, may_be_transparent
from jobs.models.aligned_pixels import empty_pixels

Pixels = NDArray[np.uint8]

_RGB = 3
_WHITE = 255

_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}
"""Exif 2.3, section 4.6.4: each looks at the same pixels another way, and copies none."""


def for_graph(encoded: bytes, header: ImageHeader) -> bytes:
    """Gives a JPEG or PNG of the same pixels, upright; of an animation the first frame.

    Args:
        encoded: The image.
        header: What `check_image` said of it.

    Raises:
        ImageRejectedError: It is `unreadable`.
    """
    return encoded if goes_as_it_is(header) else png_of(upright_pixels(encoded, header))


def goes_as_it_is(header: ImageHeader) -> bool:
    """Whether a graph's own decoder makes of an image what a person sees."""
    return header.format in ("JPEG", "PNG") and header.orientation == 1


def upright_pixels(encoded: bytes, header: ImageHeader) -> Pixels:
    """Decodes an image; of an animation the first frame.

    Args:
        encoded: The image.
        header: What `check_image` said of it.

    Returns:
        Red, green and blue, `(height, width, 3)`, in memory once; a view of them where they are turned.

    Raises:
        ImageRejectedError: It is `unreadable`.
    """
    if header.format in ("JPEG", "PNG"):
        pixels = _decoded(encoded)
    elif header.format == "WEBP":
        pixels = _animated_webp(encoded, header.stored) if is_animated(encoded) else _still_webp(encoded)
    else:
        pixels = _first_frame(encoded, header)
    return _TURNS[header.orientation](pixels)


def _decoded(encoded: bytes) -> Pixels:
    """Decodes a JPEG or PNG by TensorFlow, as the graph would: other decoders of JPEG round otherwise."""
    import tensorflow as tf

    return _by_tensorflow(lambda: tf.io.decode_jpeg(encoded, channels=3))  # PNG too


def _still_webp(encoded: bytes) -> Pixels:
    """Decodes a WebP of one frame: by TensorFlow, since Pillow would hold four copies of it, of four bytes a pixel.

    Never to be called with an animation: TensorFlow 2.21 writes past the end of its memory where one has no transparency.
    """
    import tensorflow as tf

    frame: Pixels = _by_tensorflow(lambda: tf.io.decode_webp(encoded, channels=0))[0]
    if frame.shape[2] == _RGB:
        return frame
    pixels = empty_pixels(*frame.shape[:2])
    for top, bottom in bands(frame):
        pixels[top:bottom] = _on_white(Image.fromarray(frame[top:bottom]))
    return pixels


def _animated_webp(encoded: bytes, canvas: ImageSize) -> Pixels:
    """Decodes the first frame; around it the canvas is transparent, or black in a file that says that nothing is."""
    frame = first_frame_of(encoded)
    stored = check_image(frame.encoded, ImageLimits(canvas.pixels / 1e6, len(encoded) / 1e6)).stored
    right, bottom = frame.left + stored.width, frame.top + stored.height
    if stored != frame.size or right > canvas.width or bottom > canvas.height:
        raise ImageRejectedError(
            "unreadable", f"a frame of {stored.width} x {stored.height} pixels where there is none"
        )
    if stored == canvas:
        return _still_webp(frame.encoded)
    pixels = empty_pixels(canvas.height, canvas.width)
    pixels.fill(_WHITE if may_be_transparent(encoded) else 0)
    pixels[frame.top : bottom, frame.left : right] = _still_webp(frame.encoded)
    return pixels


def _by_tensorflow(decode: Callable[[], Any]) -> Pixels:
    """Gives what an operation decodes, without a copy of it."""
    import tensorflow as tf

    from jobs.models.frozen_graph import first_line

    try:
        return np.asarray(decode())
    except tf.errors.InvalidArgumentError as error:
        raise ImageRejectedError("unreadable", first_line(error)) from None


def _first_frame(encoded: bytes, header: ImageHeader) -> Pixels:
    """Decodes the first frame; what is transparent is shown on white."""
    pixels = empty_pixels(header.stored.height, header.stored.width)
    try:
        with Image.open(io.BytesIO(encoded), formats=(header.format,)) as frame:
            for top, bottom in bands(pixels):
                pixels[top:bottom] = _on_white(frame.crop((0, top, frame.width, bottom)))
    except PILLOW_ERRORS as error:
        raise ImageRejectedError("unreadable", f"{type(error).__name__}: {error}"[:300]) from None
    return pixels


def _on_white(band: Image.Image) -> Pixels:
    if band.has_transparency_data:
        seen = band.convert("RGBA")
        band = Image.new("RGBA", seen.size, "white")
        band.alpha_composite(seen)
    return np.asarray(band if band.mode == "RGB" else band.convert("RGB"))
