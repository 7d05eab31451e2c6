"""An image set made from the digits that are in no split, with damaged files among them: what the demonstration labels."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.datasets.digits import read_digits
from jobs.files import staged_folder


def write_digits_image_set(folder: Path, held_out: Sequence[int], damaged: int) -> dict[str, int]:
    """Writes digits as PNG files, every third as JPEG, and between them files that no one can label.

    Args:
        folder: Where to write; appears whole, and must not be there yet.
        held_out: Indices of the digits to write, as the data set's manifest gives them.
        damaged: How many damaged files to add: in turn one cut short, one empty, one that is text.

    Returns:
        The true class of each good image, by file name.
    """
    digits = read_digits()
    truth: dict[str, int] = {}
    with staged_folder(folder) as staged:
        for index in held_out:
            suffix = "jpg" if index % 3 == 0 else "png"
            name = f"digit-{index:04}.{suffix}"
            (staged / name).write_bytes(_encode(digits.images[index, :, :, 0], suffix))
            truth[name] = int(digits.labels[index])
        whole = _encode(digits.images[0, :, :, 0], "png")
        for number in range(damaged):
            content = (whole[: len(whole) // 2], b"", b"This is not an image.\n")[number % 3]
            (staged / f"damaged-{number:02}.png").write_bytes(content)
    return truth


def _encode(pixels: NDArray[np.uint8], suffix: str) -> bytes:
    file = io.BytesIO()
    # At 8x8 pixels the losses of JPEG's usual quality would be as large as a pen stroke.
    Image.fromarray(pixels).save(file, "JPEG" if suffix == "jpg" else "PNG", quality=100)
    return file.getvalue()
