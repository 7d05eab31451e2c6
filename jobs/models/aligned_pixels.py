"""Pixels in memory where TensorFlow takes them as they are."""

import numpy as np
from numpy.typing import NDArray

_ALIGNMENT = 64
"""Bytes; TensorFlow copies what begins elsewhere (EIGEN_MAX_ALIGN_BYTES)."""


def empty_pixels(height: int, width: int) -> NDArray[np.uint8]:
    """Gives room for an image, `(height, width, 3)`."""
    size = height * width * 3
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].reshape(height, width, 3)


def aligned(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gives the same pixels, copied only where they lie otherwise; a view of a tensor, which cannot be written, is copied."""
    if pixels.flags.c_contiguous and pixels.flags.writeable and pixels.ctypes.data % _ALIGNMENT == 0:
        return pixels
    copy = empty_pixels(*pixels.shape[:2])
    copy[:] = pixels
    return copy
