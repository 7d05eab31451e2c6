"""Writing pixels as a PNG that is decoded at once and thrown away: not compressed, which takes longer than all the rest."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BITS, _COLOUR = 8, 2
_PIXELS_AT_ONCE = 1_000_000


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    """Writes an image, a band at a time, so that no second copy of it is in memory (PNG, third edition, W3C 2025).

    Args:
        pixels: Of shape (height, width, 3), which may be a view in any order.
    """
    height, width, _ = pixels.shape
    content = io.BytesIO()
    content.write(_SIGNATURE)
    _write_chunk(content, b"IHDR", struct.pack(">IIBBBBB", width, height, _BITS, _COLOUR, 0, 0, 0))
    stored = zlib.compressobj(level=0)
    for top, bottom in bands(pixels):
        lines = np.zeros((bottom - top, 1 + 3 * width), np.uint8)  # each begins with its filter: none
        lines[:, 1:].reshape(-1, width, 3)[:] = pixels[top:bottom]
        _write_chunk(content, b"IDAT", stored.compress(lines.data))
    _write_chunk(content, b"IDAT", stored.flush())
    _write_chunk(content, b"IEND", b"")
    return content.getvalue()


def bands(pixels: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    """Cuts an image into bands of about a million pixels: the first row of each, and the row after its last."""
    height, width, _ = pixels.shape
    rows = max(1, _PIXELS_AT_ONCE // width)
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def _write_chunk(content: io.BytesIO, kind: bytes, data: bytes) -> None:
    content.write(struct.pack(">I", len(data)) + kind)
    content.write(data)
    content.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))
