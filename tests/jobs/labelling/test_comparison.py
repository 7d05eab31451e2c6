"""Two labellings of the same images, side by side."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.labelling.comparison import Change, Comparison
from jobs.labelling.part_files import write_part
from jobs.labelling.reading import LabelledDay
from jobs.labelling.row_files import RowFiles
from jobs.labelling.schema import LabelledImage, ModelStamp, ScoredLabel, labels_table

AT = datetime(2026, 3, 1, tzinfo=UTC)


def day(folder: Path, version: int, **labels: tuple[str, float]) -> LabelledDay:
    rows = [LabelledImage(name, (ScoredLabel(*best),), 8, 9, AT) for name, best in labels.items()]
    path = folder / f"{version}.parquet"
    write_part(labels_table(rows, ModelStamp("photos", version, f"{version:064}")), path)
    return LabelledDay(RowFiles.on_disk([path]))


@pytest.fixture
def compared(tmp_path: Path) -> Comparison:
    one = day(
        tmp_path, 1, a=("cat", 0.9), b=("cat", 0.5), c=("dog", 0.6), d=("dog", 1.0), e=("cat", 0.4), f=("cat", 0.9)
    )
    other = day(
        tmp_path, 2, a=("cat", 0.8), b=("dog", 0.5), c=("cat", 0.9), d=("dog", 0.9), e=("dog", 0.3), g=("dog", 1.0)
    )
    return Comparison(one, other)


def test_disagreements_come_first_the_surest_of_them_at_the_top(compared: Comparison) -> None:
    assert [row.image for row in compared.rows(compared.select("all"))] == ["c", "b", "e", "d", "a"]
    assert [row.image for row in compared.rows(compared.select("differ"))] == ["c", "b", "e"]
    row = compared.rows(compared.select("differ"))[0]
    assert (row.label, row.other_label, row.width, row.height) == ("dog", "cat", 8, 9)
    assert (row.score, row.other_score) == pytest.approx((0.6, 0.9))


def test_images_that_only_one_has_are_counted(compared: Comparison) -> None:
    assert (len(compared), compared.disagreements, compared.only_one, compared.only_other) == (5, 3, 1, 1)


def test_which_label_became_which_is_counted_and_can_be_asked_for(compared: Comparison) -> None:
    assert compared.changes() == [Change("cat", "dog", 2), Change("dog", "cat", 1)]
    assert [row.image for row in compared.rows(compared.select("differ", "cat", "dog"))] == ["b", "e"]
    assert [row.image for row in compared.rows(compared.select("all", "cat", "cat"))] == ["a"]


def test_days_without_a_common_image_have_nothing_to_compare(tmp_path: Path) -> None:
    compared = Comparison(day(tmp_path, 1, a=("cat", 0.9)), day(tmp_path, 2, b=("cat", 0.9)))
    assert (len(compared), compared.disagreements, compared.changes()) == (0, 0, [])
    assert compared.rows(compared.select("differ")) == []
