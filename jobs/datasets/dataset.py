"""A prepared data set: checked, split, and written once under the fingerprint of its content."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from jobs.datasets.source_images import SourceImages
from jobs.datasets.split_file import map_split, split_file
from jobs.datasets.splits import SplitIndices
from jobs.errors import InvalidDatasetError
from jobs.files import staged_folder

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")

_FORMAT = b"atoll data set 1"
_MANIFEST = "dataset.json"


class Dataset(BaseModel):
    """The manifest of a prepared data set, `dataset.json`; the splits lie beside it as `train.npz` and so on.

    Attributes:
        name: Name of the experiment that it was prepared for.
        fingerprint: 16 hexadecimal digits; equal content and equal splits give an equal fingerprint.
        classes: Names of the classes, in the order of the labels.
        image_shape: Height, width and channels.
        counts: Samples in each split.
        held_out: Indices into the source of the samples that are in no split.
        sha256: Checksum of each split's file.
        quarantined: How many images of the source cannot be used, by reason.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    fingerprint: str
    classes: list[str]
    image_shape: tuple[int, int, int]
    counts: dict[SplitName, int]
    held_out: list[int]
    sha256: dict[SplitName, str]
    quarantined: dict[str, int] = {}


def fingerprint(source: SourceImages, splits: SplitIndices) -> str:
    """Computes the fingerprint of a data set: sha256 over its images, labels, classes and splits, 16 digits of it."""
    digest = hashlib.sha256(_FORMAT)
    digest.update(repr((source.images.shape, source.classes)).encode())
    for array in (source.images, source.labels, splits.train, splits.validation, splits.test, splits.held_out):
        digest.update(len(array).to_bytes(8, "big"))
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def write_dataset(folder: Path, name: str, source: SourceImages, splits: SplitIndices) -> Dataset:
    """Writes a data set into `folder`, which appears whole or not at all."""
    height, width, channels = source.images.shape[1:]
    with staged_folder(folder) as staged:
        for split in SPLITS:
            indices = getattr(splits, split)
            labels = source.labels[indices].astype(np.int64)
            with split_file(staged / f"{split}.npz", (height, width, channels), labels) as pixels:
                pixels.write(source.images[indices].tobytes())
        return write_manifest(staged, name, folder.name, source.classes, (height, width, channels), splits, {})


def write_manifest(
    staged: Path, name: str, fingerprint: str, classes: Sequence[str], image_shape: tuple[int, int, int],
    splits: SplitIndices, quarantined: dict[str, int],
) -> Dataset:  # fmt: skip
    """Writes the manifest beside the files of the three splits, which lie in the staged folder already."""
    dataset = Dataset(
        name=name,
        fingerprint=fingerprint,
        classes=list(classes),
        image_shape=image_shape,
        counts={split: len(getattr(splits, split)) for split in SPLITS},
        held_out=splits.held_out.tolist(),
        sha256={split: _sha256(staged / f"{split}.npz") for split in SPLITS},
        quarantined=quarantined,
    )
    (staged / _MANIFEST).write_text(dataset.model_dump_json(indent=2) + "\n")
    return dataset


def open_dataset(folder: Path) -> Dataset:
    """Reads the manifest of a prepared data set.

    Raises:
        InvalidDatasetError: There is none in `folder`, or it is not one.
    """
    try:
        return Dataset.model_validate_json((folder / _MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidDatasetError(
            f"{folder}: no prepared data set there; accepted: what prepare_dataset wrote"
        ) from None
    except ValidationError as error:
        raise InvalidDatasetError(
            f"{folder / _MANIFEST}: {error.errors()[0]['msg']}; accepted: an unedited manifest"
        ) from None


def read_split(folder: Path, split: SplitName) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Maps the images of one split, and reads its labels.

    Returns:
        Images, uint8 of shape (samples, height, width, channels), and labels, int64 of shape (samples,).

    Raises:
        InvalidDatasetError: The file is missing, or its checksum differs from the manifest's.
    """
    return map_split(check_split(folder, split))


def check_split(folder: Path, split: SplitName) -> Path:
    """Gives the file of one split.

    Raises:
        InvalidDatasetError: It is missing, or its checksum differs from the manifest's.
    """
    path = folder / f"{split}.npz"
    expected = open_dataset(folder).sha256[split]
    if not path.is_file() or (found := _sha256(path)) != expected:
        state = "missing" if not path.is_file() else f"sha256 {found}"
        raise InvalidDatasetError(f"{path}: {state}; accepted: {expected}; delete {folder} and prepare it again")
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
