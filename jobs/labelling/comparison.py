"""Comparing two labellings of the same images, such as those of two models on one day."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from jobs.labelling.reading import LabelledDay, plain

Shown = Literal["differ", "all"]
"""Which images are shown: those with different best labels, or all, those first."""


@dataclass(frozen=True)
class ComparedRow:
    """The best labels of one image.

    Attributes:
        image: Its name in the image set.
        label: By the one labelling.
        score: Of that label.
        other_label: By the other labelling.
        other_score: Of that label.
        width: In pixels.
        height: In pixels.
    """

    image: str
    label: str
    score: float
    other_label: str
    other_score: float
    width: int
    height: int


@dataclass(frozen=True)
class Change:
    """How often one label has become another.

    Attributes:
        label: By the one labelling.
        other_label: By the other labelling.
        images: How many images have these two.
    """

    label: str
    other_label: str
    images: int


class Comparison:
    """The images that both labellings have, the surest disagreements first."""

    def __init__(self, one: LabelledDay, other: LabelledDay) -> None:
        """Joins both by the name of the image."""
        left, right = (_plain(day, names) for day, names in ((one, ("width", "height")), (other, ())))
        right = right.rename_columns(["image", "other_label", "other_score"])
        both = left.join(right, "image", join_type="inner").combine_chunks()
        differs = pc.not_equal(both["label"], both["other_label"])
        sureness = pc.add(both["score"], both["other_score"])
        both = both.append_column("differs", differs).append_column("sureness", sureness)
        order = [("differs", "descending"), ("sureness", "descending"), ("image", "ascending")]
        self.table = both.take(pc.sort_indices(both, sort_keys=order))
        self.only_one, self.only_other = len(one) - len(both), len(other) - len(both)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def disagreements(self) -> int:
        """How many images have different best labels."""
        return int(pc.sum(self.table["differs"]).as_py() or 0)

    def changes(self) -> list[Change]:
        """Counts which label has become which other, the most frequent first."""
        differing = self.table.filter(self.table["differs"])
        counted = differing.group_by(["label", "other_label"]).aggregate([([], "count_all")]).to_pylist()
        found = [Change(row["label"], row["other_label"], row["count_all"]) for row in counted]
        return sorted(found, key=lambda change: (-change.images, change.label, change.other_label))

    def select(self, shown: Shown, label: str | None = None, other_label: str | None = None) -> pa.Table:
        """Gives the rows that are asked for; with labels, only those that have them."""
        condition = pc.field("differs") if shown == "differ" else pc.scalar(True)
        for name, wanted in (("label", label), ("other_label", other_label)):
            if wanted is not None:
                condition = condition & (pc.field(name) == wanted)
        return self.table.filter(condition)

    def rows(self, table: pa.Table) -> Sequence[ComparedRow]:
        """Turns some rows of `select` into records."""
        return [ComparedRow(**row) for row in table.select(list(ComparedRow.__dataclass_fields__)).to_pylist()]


def _plain(day: LabelledDay, more: Sequence[str]) -> Any:
    names = ["image", "label", "score", *more]
    return pa.table({name: plain(day.table[name]) for name in names})
