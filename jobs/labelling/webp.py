"""The first frame of an animated WebP as a WebP of its own, so that no decoder holds a canvas for all frames (RFC 9649)."""

import struct
from dataclasses import dataclass

from jobs.labelling.header import ImageSize
from jobs.labelling.rejection import ImageRejectedError

_FIRST_CHUNK = 12
_CHUNK_HEADER = 8
_FRAME_HEADER = 16
_ANIMATION, _ALPHA = 0b10, 0b10000  # flags of VP8X


@dataclass(frozen=True)
class WebpFrame:
    """A frame, and where it lies.

    Attributes:
        encoded: A still WebP.
        left: Pixels to its left.
        top: Pixels above it.
        size: As the animation says.
    """

    encoded: bytes
    left: int
    top: int
    size: ImageSize


def is_animated(encoded: bytes) -> bool:
    """Reads from a WebP's first chunk whether it has several frames."""
    return encoded[12:16] == b"VP8X" and bool(encoded[20] & _ANIMATION)


def may_be_transparent(animation: bytes) -> bool:
    """Reads from an animation's first chunk whether any of its frames has transparency."""
    return bool(animation[20] & _ALPHA)


def first_frame_of(encoded: bytes) -> WebpFrame:
    """Finds the first frame of an animation.

    Raises:
        ImageRejectedError: It is `unreadable`: there is none.
    """
    place = _FIRST_CHUNK
    while place + _CHUNK_HEADER <= len(encoded):
        kind, size = struct.unpack_from("<4sI", encoded, place)
        place += _CHUNK_HEADER
        if kind == b"ANMF" and place + size <= len(encoded) and size > _FRAME_HEADER:
            numbers = [int.from_bytes(encoded[place + at : place + at + 3], "little") for at in (0, 3, 6, 9)]
            frame = ImageSize(numbers[2] + 1, numbers[3] + 1)
            data = encoded[place + _FRAME_HEADER : place + size]
            return WebpFrame(_still(data, frame), 2 * numbers[0], 2 * numbers[1], frame)
        place += size + size % 2
    raise ImageRejectedError("unreadable", "an animation without a whole first frame")


def _still(data: bytes, size: ImageSize) -> bytes:
    if data.startswith(b"ALPH"):
        canvas = (size.width - 1).to_bytes(3, "little") + (size.height - 1).to_bytes(3, "little")
        data = b"VP8X" + struct.pack("<II", 10, _ALPHA) + canvas + data
    return b"RIFF" + struct.pack("<I", 4 + len(data)) + b"WEBP" + data
