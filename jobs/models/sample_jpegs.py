"""Pictures to try a graph on before it sees real ones."""

import io

import numpy as np
from PIL import Image

_SIZES = ((96, 64), (61, 120), (300, 200), (80, 80))
"""Width and height: different, so that a graph that needs one size of image is found out."""


def sample_jpegs() -> list[bytes]:
    """Makes a few JPEGs of different sizes and of strongly different colours; the same ones each time."""
    random = np.random.default_rng(0)
    pictures = []
    for size in _SIZES:
        blocks = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        encoded = io.BytesIO()
        blocks.resize(size, Image.Resampling.NEAREST).save(encoded, "JPEG", quality=95)
        pictures.append(encoded.getvalue())
    return pictures
