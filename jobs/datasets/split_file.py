"""Writing the file of a split image by image, so that the driver never holds its pixels."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray


@contextmanager
def split_file(path: Path, image_shape: tuple[int, int, int], labels: NDArray[np.int64]) -> Iterator[IO[bytes]]:
    """Gives a stream to write the pixels of a split into; the file is what `np.savez` would have written.

    Args:
        path: The file to write.
        image_shape: Height, width and channels.
        labels: int64, shape (samples,); as many images must be written, uint8, one after another.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with archive.open("images.npy", "w", force_zip64=True) as images:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(labels), *image_shape)}
            np.lib.format.write_array_header_1_0(images, header)
            yield images
        with archive.open("labels.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array(file, labels)
