"""A prepared data set: checked, split, and written once under the fingerprint of its content."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from jobs.datasets.source_images import SourceImages
from jobs.datasets.split_file import map_split, split_file
from jobs.datasets.splits import SplitIndices
from jobs.errors import InvalidDatasetError
from jobs.files import staged_folder
from jobs.models.graph_plan import PixelInput
from jobs.records import mistake_in

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")

_FORMAT = b"atoll data set 1"
_MANIFEST = "dataset.json"

GRAPH_FILE = "graph.pb"
"""Beside the splits of features: the frozen graph that gave them."""


class FeatureGraph(BaseModel):
    """The frozen graph that gave a data set its features.

    Attributes:
        model: Name of the graph's file, or of the registered model.
        version: Of the registered model; None for a file.
        sha256: Of the GraphDef.
        input_tensor: Scalar string: one encoded image.
        tensor: The features: one vector for each image.
        features: How many numbers that is.
        pixels: Where a decoder is put in front, since the graph takes pixels; None where it decodes itself.
        test_images_sha256: Of the file with the images of the test split, as they were.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str
    version: int | None
    sha256: str
    input_tensor: str
    tensor: str
    features: int
    pixels: PixelInput | None
    test_images_sha256: str


ImageShape = tuple[int, int, int]
"""Height, width and channels."""


class Dataset(BaseModel):
    """The manifest of a prepared data set, `dataset.json`; the splits lie beside it as `train.npz` and so on.

    Attributes:
        name: Name of the experiment that it was prepared for.
        fingerprint: 16 hexadecimal digits; equal content and equal splits give an equal fingerprint.
        classes: Names of the classes, in the order of the labels.
        image_shape: Height, width and channels; None where it holds features instead of pixels.
        features: Where they come from; None where it holds pixels.
        counts: Samples in each split.
        held_out: Indices into the source of the samples that are in no split.
        sha256: Checksum of each split's file.
        quarantined: How many images of the source cannot be used, by reason.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    fingerprint: str
    classes: list[str]
    image_shape: ImageShape | None = None
    features: FeatureGraph | None = None
    counts: dict[SplitName, int]
    held_out: list[int]
    sha256: dict[SplitName, str]
    quarantined: dict[str, int] = {}

    @model_validator(mode="after")
    def _holds_pixels_or_features(self) -> Self:
        if (self.image_shape is None) == (self.features is None):
            raise ValueError("image_shape or features: one of them is needed")
        return self

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Height, width and channels of an image, or how many features there are."""
        return (self.features.features,) if self.features else self.image_shape or ()


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
    staged: Path, name: str, fingerprint: str, classes: Sequence[str], kept: ImageShape | FeatureGraph, splits: SplitIndices,
    quarantined: dict[str, int],
) -> Dataset:  # fmt: skip
    """Writes the manifest beside the files of the three splits, which lie in the staged folder already."""
    dataset = Dataset(
        name=name,
        fingerprint=fingerprint,
        classes=list(classes),
        image_shape=None if isinstance(kept, FeatureGraph) else kept,
        features=kept if isinstance(kept, FeatureGraph) else None,
        counts={split: len(getattr(splits, split)) for split in SPLITS},
        held_out=splits.held_out.tolist(),
        sha256={split: file_sha256(staged / f"{split}.npz") for split in SPLITS},
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
            f"{folder / _MANIFEST}: {mistake_in(error)}; accepted: an unedited manifest of this version"
        ) from None


def read_split(folder: Path, split: SplitName) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Maps the images, or features, of one split, and reads its labels.

    Returns:
        Images, uint8 of shape (samples, height, width, channels), or features, float32 of shape (samples, features); and
        labels, int64 of shape (samples,).

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
    check_file(path, open_dataset(folder).sha256[split])
    return path


def read_feature_graph(folder: Path) -> tuple[bytes, FeatureGraph]:
    """Reads the graph that gave a data set its features, and what the manifest says of it.

    Raises:
        InvalidDatasetError: The data set holds pixels, or the graph is missing, or its checksum differs from the manifest's.
    """
    features, path = open_dataset(folder).features, folder / GRAPH_FILE
    if features is None:
        raise InvalidDatasetError(f"{folder}: holds pixels; accepted: a data set of features")
    check_file(path, features.sha256)
    return path.read_bytes(), features


def check_file(path: Path, expected: str) -> None:
    """Checks a file of a data set.

    Raises:
        InvalidDatasetError: It is missing, or its checksum differs from the manifest's.
    """
    if not path.is_file() or (found := file_sha256(path)) != expected:
        state = "missing" if not path.is_file() else f"sha256 {found}"
        raise InvalidDatasetError(f"{path}: {state}; accepted: {expected}; delete {path.parent} and prepare it again")


def file_sha256(path: Path) -> str:
    """Computes the checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
