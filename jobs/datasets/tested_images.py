"""The files of a test split, kept beside its features: another model does not know these, and is tested on the same images."""

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.class_folders import ClassFolders
from jobs.datasets.dataset import FeatureGraph, check_file, file_sha256
from jobs.datasets.extraction import Outcomes
from jobs.errors import InvalidDatasetError
from jobs.labelling.formats import for_graph
from jobs.labelling.header import ImageLimits, check_image
from jobs.printing import printable

TEST_IMAGES_FILE = "test_images.zip"

_WITHIN_ALL_LIMITS = ImageLimits(megapixels=1e6, megabytes=1e6)
"""They were within those of the data set when it was prepared."""


def write_test_images(folder: Path, listed: ClassFolders, outcomes: Outcomes, places: NDArray[np.int64]) -> str:
    """Copies the files of the test split into one, in its order, and gives the checksum of that.

    Args:
        folder: Where to write.
        listed: All files.
        outcomes: Of each that can be used, the digest.
        places: Of the test split, in the list.

    Raises:
        InvalidDatasetError: A file has changed since its features were taken.
    """
    path = folder / TEST_IMAGES_FILE
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for number, place in enumerate(places.tolist()):
            name = listed.names[place]
            try:
                content = (listed.root / name).read_bytes()
            except OSError:
                content = b""
            if hashlib.sha256(content).digest() != outcomes[place]:
                raise InvalidDatasetError(
                    f"{listed.root / printable(name)}: changed while the data set was prepared; accepted: a folder at rest"
                )
            archive.writestr(zipfile.ZipInfo(f"{number:08d}", date_time=(1980, 1, 1, 0, 0, 0)), content)
    return file_sha256(path)


def read_test_images(folder: Path, features: FeatureGraph) -> Iterator[bytes]:
    """Reads the images of the test split, in its order, each as a graph is given it: a JPEG or PNG that is upright.

    Args:
        folder: Of the data set.
        features: What its manifest says of them.

    Raises:
        InvalidDatasetError: The file is missing, or its checksum differs from the manifest's.
    """
    path = folder / TEST_IMAGES_FILE
    check_file(path, features.test_images_sha256)
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            yield for_graph(content, check_image(content, _WITHIN_ALL_LIMITS))
