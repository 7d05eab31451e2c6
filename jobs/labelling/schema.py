"""The columns of labels and of quarantine: what every reader of the workspace relies on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.results import QuarantineReason

LABELS = pa.schema(
    [
        pa.field("image", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("top_k", pa.list_(pa.struct([("label", pa.string()), ("score", pa.float32())])), nullable=False),
        pa.field("model_name", pa.string(), nullable=False),
        pa.field("model_version", pa.int32()),
        pa.field("graph_sha256", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("labelled_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
"""One row per labelled image; `model_version` is null for a graph that is not from the registry."""

FEATURES = pa.schema(
    [
        pa.field("image", pa.string(), nullable=False),
        pa.field("features", pa.list_(pa.float32()), nullable=False),
        *(LABELS.field(name) for name in ("model_name", "model_version", "graph_sha256", "width", "height")),
        pa.field("computed_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
"""One row per image whose features were asked for: the values of an inner tensor, always as many."""

QUARANTINE = pa.schema(
    [
        pa.field("image", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
"""One row per image that could not be labelled; `reason` is a `QuarantineReason`."""


NOTHING_CARRIED = pa.schema([])
"""No column of a list is carried through."""


@dataclass(frozen=True)
class ModelStamp:
    """Which model gave a label.

    Attributes:
        name: The registered model, or the graph file's name without its suffix.
        version: In the registry; None for a file.
        graph_sha256: Of the GraphDef, in hexadecimal.
        study: That the model was selected from; None for a file.
        dataset_fingerprint: Of the data set that it was trained on; None for a file.
    """

    name: str
    version: int | None
    graph_sha256: str
    study: str | None = None
    dataset_fingerprint: str | None = None


@dataclass(frozen=True)
class ScoredLabel:
    """A label and its score, 0 to 1 where the graph ends in a softmax."""

    label: str
    score: float


@dataclass(frozen=True)
class LabelledImage:
    """An image with its best labels, best first, at least one; width and height in pixels."""

    image: str
    top_k: tuple[ScoredLabel, ...]
    width: int
    height: int
    labelled_at: datetime


@dataclass(frozen=True)
class FeaturedImage:
    """An image with the values of an inner tensor, float32, shape (features,); width and height in pixels."""

    image: str
    features: NDArray[np.float32]
    width: int
    height: int
    computed_at: datetime


@dataclass(frozen=True)
class QuarantinedImage:
    """An image that could not be labelled."""

    image: str
    reason: QuarantineReason
    detail: str


Row = LabelledImage | FeaturedImage | QuarantinedImage
"""What becomes of an image."""


def with_carried(schema: pa.Schema, carried: pa.Schema) -> pa.Schema:
    """Adds the columns that are carried through from a list to those of labels or of quarantine."""
    return pa.schema([*schema, *carried])


def beside(rows: pa.Table, carried: pa.Table) -> pa.Table:
    """Puts the carried columns beside labels or quarantine, row by row."""
    for field, column in zip(carried.schema, carried.columns, strict=True):
        rows = rows.append_column(field, column)
    return rows


def labels_table(rows: Sequence[LabelledImage], model: ModelStamp) -> pa.Table:
    """Puts labelled images into the columns of `LABELS`."""
    columns = [
        [row.image for row in rows],
        [row.top_k[0].label for row in rows],
        [row.top_k[0].score for row in rows],
        [[{"label": one.label, "score": one.score} for one in row.top_k] for row in rows],
        [model.name] * len(rows),
        [model.version] * len(rows),
        [model.graph_sha256] * len(rows),
        [row.width for row in rows],
        [row.height for row in rows],
        [row.labelled_at for row in rows],
    ]
    return pa.table([pa.array(values, field.type) for values, field in zip(columns, LABELS, strict=True)], LABELS)


def features_table(rows: Sequence[FeaturedImage], model: ModelStamp) -> pa.Table:
    """Puts images with features into the columns of `FEATURES`."""
    columns = [
        [row.image for row in rows],
        [row.features for row in rows],
        [model.name] * len(rows),
        [model.version] * len(rows),
        [model.graph_sha256] * len(rows),
        [row.width for row in rows],
        [row.height for row in rows],
        [row.computed_at for row in rows],
    ]
    return pa.table([pa.array(values, field.type) for values, field in zip(columns, FEATURES, strict=True)], FEATURES)


def quarantine_table(rows: Sequence[QuarantinedImage]) -> pa.Table:
    """Puts quarantined images into the columns of `QUARANTINE`."""
    columns = [[row.image for row in rows], [row.reason for row in rows], [row.detail for row in rows]]
    return pa.table([pa.array(values, pa.string()) for values in columns], QUARANTINE)
