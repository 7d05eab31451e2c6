"""Counting what a run has labelled: each image once, by label, by reason, by how sure the model was."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.errors import PublishError
from jobs.results import QuarantineReason

BINS = 10
"""Of the histogram of confidence, of equal width from 0 to 1."""


@dataclass
class Counts:
    """What a staged image set holds.

    Attributes:
        labelled: Images with a label, or with features.
        labels: How many images have each label.
        confidence: How many images have a score in each of `BINS` equal bins from 0 to 1; scores outside fall in the
            outermost. Empty for features.
        reasons: How many images are in quarantine for each reason.
    """

    labelled: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    confidence: list[int] = field(default_factory=lambda: [0] * BINS)
    reasons: Counter[QuarantineReason] = field(default_factory=Counter)

    @property
    def quarantined(self) -> int:
        """Images without a label."""
        return self.reasons.total()


def count_rows(labels: Sequence[Path], quarantine: Sequence[Path], listed: Iterable[str]) -> Counts:
    """Counts what was written, and checks that each image is in exactly one of the two.

    Args:
        labels: Files of labels.
        quarantine: Files of quarantine.
        listed: Every image of the set, as its row names it.

    Raises:
        PublishError: Names an image that is missing, doubled or not in the set.
    """
    counts = Counts()
    missing = Counter(listed)
    images = missing.total()
    for file in labels:
        table = pq.read_table(file, columns=["image", "label", "score"])
        missing.subtract(table["image"].to_pylist())
        counts.labelled += table.num_rows
        for one in pc.value_counts(table["label"]).to_pylist():
            counts.labels[one["values"]] += one["counts"]
        scores = np.clip(table["score"].to_numpy(), 0, 1)
        inside, _ = np.histogram(scores, BINS, (0, 1))
        counts.confidence = [before + int(more) for before, more in zip(counts.confidence, inside, strict=True)]
    _count_quarantine(quarantine, counts, missing)
    check_complete(missing, counts.labelled + counts.quarantined, images)
    return counts


def count_features(features: Sequence[Path], quarantine: Sequence[Path], listed: Iterable[str]) -> Counts:
    """Does the same for files of features, which have neither labels nor scores to count.

    Args:
        features: Files of features.
        quarantine: Files of quarantine.
        listed: Every image of the set, as its row names it.

    Raises:
        PublishError: Names an image that is missing, doubled or not in the set.
    """
    counts = Counts(confidence=[])
    missing = Counter(listed)
    images = missing.total()
    for file in features:
        named = pq.read_table(file, columns=["image"])["image"].to_pylist()
        missing.subtract(named)
        counts.labelled += len(named)
    _count_quarantine(quarantine, counts, missing)
    check_complete(missing, counts.labelled + counts.quarantined, images)
    return counts


def _count_quarantine(files: Sequence[Path], counts: Counts, missing: Counter[str]) -> None:
    for file in files:
        table = pq.read_table(file, columns=["image", "reason"])
        missing.subtract(table["image"].to_pylist())
        counts.reasons.update(table["reason"].to_pylist())


def check_complete(missing: Counter[str], rows: int, images: int) -> None:
    """Checks that there is a row for each image.

    Args:
        missing: How many rows each image lacks; below 0 where it has too many.
        rows: Of labels and quarantine.
        images: In the set.

    Raises:
        PublishError: Names an image that is missing, doubled or not in the set.
    """
    lacking = sorted(image for image, count in missing.items() if count > 0)
    beyond = sorted(image for image, count in missing.items() if count < 0)
    for problem, named in (("missing", lacking), ("doubled or not in the image set", beyond)):
        if named:
            raise PublishError(
                f"{rows} rows for {images} images: {problem}: {', '.join(named[:3])}; nothing was published"
            )
