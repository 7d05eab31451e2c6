"""What is told of each file of a folder of images: where it went, or why it cannot be used. Pure, but for one message."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.datasets.class_folders import ClassFolders
from jobs.datasets.dataset import SPLITS
from jobs.datasets.folder_tasks import Quarantined
from jobs.datasets.splits import SplitIndices
from jobs.errors import InvalidDatasetError
from jobs.printing import printable

IMAGES_FILE = "images.csv"
"""Beside the splits: each image that can be used, its class, its split and its digest."""

QUARANTINE_FILE = "quarantine.csv"
"""Beside the splits: each image that cannot be used, and why."""

_NAMED = 3


def images_table(listed: ClassFolders, outcomes: Sequence[bytes | Quarantined], splits: SplitIndices) -> str:
    """Writes a line for each image in the order of the list; `split` is empty where it is in none."""
    place_of = {place: split for split in SPLITS for place in getattr(splits, split).tolist()}
    return _csv(
        ("image", "class", "split", "sha256"),
        [
            (printable(name), listed.classes[label], place_of.get(place, ""), outcome.hex())
            for place, (name, label, outcome) in enumerate(zip(listed.names, listed.labels, outcomes, strict=True))
            if isinstance(outcome, bytes)
        ],
    )


def quarantine_table(listed: ClassFolders, outcomes: Sequence[bytes | Quarantined]) -> str:
    """Writes a line for each image that cannot be used."""
    return _csv(
        ("image", "class", "reason", "detail"),
        [
            (printable(name), listed.classes[label], outcome.reason, printable(outcome.detail))
            for name, label, outcome in zip(listed.names, listed.labels, outcomes, strict=True)
            if isinstance(outcome, Quarantined)
        ],
    )


def check_share(quarantined: Mapping[str, int], images: int, accepted: float | None, report: Path) -> None:
    """Refuses a folder in which too many images cannot be used.

    Args:
        quarantined: How many cannot, by reason.
        images: How many there are in all.
        accepted: Share of them that may be unusable, 0 to 1; None accepts any.
        report: The `quarantine_table`, which is there if any image cannot be used.

    Raises:
        InvalidDatasetError: There are more; names the first of them.
    """
    count = sum(quarantined.values())
    if accepted is None or count <= accepted * images:
        return
    with report.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    first = ", ".join(f"{row['image']} ({row['reason']}: {row['detail']})" for row in rows[:_NAMED])
    more = f" and {count - _NAMED} more" if count > _NAMED else ""
    raise InvalidDatasetError(
        f"dataset.max_quarantined: {count} of {images} images ({count / images:.2%}) cannot be used: {first}{more}, all in "
        f"{report}; accepted: at most {accepted:.2%}; mend or remove them, or accept a larger share"
    )


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()
