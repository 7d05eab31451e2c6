"""A PNG of pixels holds just these, whatever their order in memory."""

import io

import numpy as np
import pytest
from PIL import Image

from jobs.labelling.png import png_of


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (700, 1500), (3, 70_000), (2, 1_500_000)])
@pytest.mark.parametrize("view", ["as they are", "mirrored", "turned"])
def test_a_png_holds_the_pixels_that_it_is_made_of(shape, view):
    made = np.random.default_rng(7).integers(0, 256, (*shape, 3), np.uint8)
    pixels = {"as they are": made, "mirrored": made[::-1, ::-1], "turned": made.swapaxes(0, 1)}[view]
    with Image.open(io.BytesIO(png_of(pixels))) as image:
        assert image.mode == "RGB"
        assert (np.asarray(image) == pixels).all()
