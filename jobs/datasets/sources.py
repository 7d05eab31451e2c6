"""Where a data set comes from: the section `dataset` of an experiment file."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

Fraction = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]

MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


class Section(BaseModel):
    """A section of an experiment file: immutable, and refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Split(Section):
    """Shares of the samples in each split, each above 0 and below 1; what is left over is in none.

    Attributes:
        train: Share that trials train on.
        validation: Share that trials are compared on.
        test: Share read once, after the choice; None where the source publishes a test split of its own.
    """

    train: Fraction
    validation: Fraction
    test: Fraction | None = None

    @model_validator(mode="after")
    def _fits_in_one(self) -> Self:
        total = self.train + self.validation + (self.test or 0)
        if total > 1 + 1e-9:
            raise ValueError(f"the shares sum to {total:g}; accepted: at most 1")
        return self


class DigitsSource(Section):
    """scikit-learn's digits: 1,797 grey images of 8x8 pixels, ten classes; embedded in the library."""

    source: Literal["digits"]
    split: Split = Split(train=0.6, validation=0.15, test=0.15)
    seed: Seed = 0

    @model_validator(mode="after")
    def _has_a_test_share(self) -> Self:
        if self.split.test is None:
            raise ValueError("split.test is missing: the digits have no test split of their own")
        return self


class MnistSource(Section):
    """MNIST in its IDX files: 60,000 training and 10,000 test images of 28x28 grey pixels, ten classes.

    Attributes:
        folder: Folder with the four IDX files, gzipped or not; None downloads them once from `mirrors`.
        mirrors: Addresses tried in turn, each ending in `/`.
    """

    source: Literal["mnist"]
    folder: Path | None = None
    mirrors: tuple[str, ...] = MNIST_MIRRORS
    split: Split = Split(train=0.9, validation=0.1)
    seed: Seed = 0

    @model_validator(mode="after")
    def _keeps_the_published_test_split(self) -> Self:
        if self.split.test is not None:
            raise ValueError(
                f"split.test: {self.split.test:g} is not used; accepted: leave it out, MNIST publishes its own"
            )
        return self


class _ClassFolders(Section):
    """A folder with one sub-folder of images per class, which is named by it.

    Attributes:
        folder: The folder, which every executor mounts. From a file, it is relative to the file's folder.
        split: Shares of the different images of each class.
        max_quarantined: Share of the images that may turn out unusable, 0 to below 1; None accepts any.
        max_megapixels: An image of more pixels, in millions, is not decoded.
        max_megabytes: A file of more bytes, in millions, is not decoded.
    """

    folder: Path
    split: Split = Split(train=0.7, validation=0.15, test=0.15)
    seed: Seed = 0
    max_quarantined: Annotated[float, Field(ge=0, lt=1)] | None = None
    max_megapixels: Annotated[float, Field(gt=0)] = 40
    max_megabytes: Annotated[float, Field(gt=0)] = 50

    @model_validator(mode="after")
    def _has_a_test_share(self) -> Self:
        if self.split.test is None:
            raise ValueError("split.test is missing: a folder of images has no test split of its own")
        return self

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of train, validation and test."""
        return self.split.train, self.split.validation, self.split.test or 0.0

    def seen_from(self, folder: Path) -> Self:
        """Gives the same source with its paths, which are relative to `folder`, made absolute."""
        return self.model_copy(update={"folder": _absolute(folder, self.folder)})


class ImageFolderSource(_ClassFolders):
    """The pixels of a folder of images.

    Attributes:
        image_size: Height and width in pixels that every image is resized to (bilinear), 1 to 4096 each.
        channels: 1 for grey, 3 for colour.
    """

    source: Literal["image_folder"]
    image_size: tuple[Annotated[int, Field(ge=1, le=4096)], Annotated[int, Field(ge=1, le=4096)]]
    channels: Literal[1, 3] = 3

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return (*self.image_size, self.channels)


class ImageFeaturesSource(_ClassFolders):
    """What a frozen graph that knows images makes of a folder of them: the values of one of its inner tensors.

    Attributes:
        graph: A frozen GraphDef, a SavedModel's folder or a `.keras` file; or `model`. From a file, it is relative to the
            file's folder.
        model: A model of the registry; or `graph`.
        model_version: Its version; None for the champion.
        tensor: The tensor, which gives one vector for each image.
        input_tensor: The encoded image, or a batch of pixels, to feed; None to find it.
        pixel_range: Values of black and of white, for a graph that takes pixels as floats.
        input_size: Height and width, for a graph that takes pixels of any size.
    """

    source: Literal["image_features"]
    graph: Path | None = None
    model: str | None = None
    model_version: Annotated[int, Field(ge=1)] | None = None
    tensor: Annotated[str, Field(min_length=1)]
    input_tensor: str | None = None
    pixel_range: tuple[FiniteFloat, FiniteFloat] | None = None
    input_size: tuple[Annotated[int, Field(ge=1, le=10000)], Annotated[int, Field(ge=1, le=10000)]] | None = None

    @model_validator(mode="after")
    def _has_one_graph(self) -> Self:
        if (self.graph is None) == (self.model is None):
            problem = "both given" if self.graph else "missing"
            raise ValueError(f"graph or model: {problem}; accepted: a file, or the name of a registered model")
        if self.model_version is not None and self.model is None:
            raise ValueError(
                f"model_version: {self.model_version} is not used with graph; accepted: with model, or none"
            )
        if self.pixel_range and self.pixel_range[0] == self.pixel_range[1]:
            raise ValueError(f"pixel_range: {list(self.pixel_range)}; accepted: two different numbers, such as [-1, 1]")
        return self

    def seen_from(self, folder: Path) -> Self:
        """Gives the same source with its paths, which are relative to `folder`, made absolute."""
        graph = _absolute(folder, self.graph) if self.graph else None
        return super().seen_from(folder).model_copy(update={"graph": graph})


def _absolute(folder: Path, path: Path) -> Path:
    return (folder / path.expanduser()).resolve()


Source = Annotated[DigitsSource | MnistSource | ImageFolderSource | ImageFeaturesSource, Field(discriminator="source")]
"""Any of them, told apart by its field `source`."""
