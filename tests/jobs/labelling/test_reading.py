"""Reading what was published: a day of labels in several files with carried columns, its quarantine, its trends."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from jobs.errors import InvalidImageSetError
from jobs.labelling.destination import Destination
from jobs.labelling.part_files import write_part
from jobs.labelling.partition import PartFiles
from jobs.labelling.publish import publish, stage
from jobs.labelling.reading import SortedRows, Wanted, image_sets, read_day, read_quarantine
from jobs.labelling.recent import Recent
from jobs.labelling.schema import (
    LABELS,
    LabelledImage,
    ModelStamp,
    QuarantinedImage,
    ScoredLabel,
    labels_table,
    quarantine_table,
)
from jobs.labelling.trends import day_figures
from jobs.workspace import Workspace

DAY = date(2026, 3, 1)
MODEL = ModelStamp("birds", 3, "ab" * 32)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def labelled(name: str, label: str, score: float) -> LabelledImage:
    top_k = ScoredLabel(label, score), ScoredLabel(f"not {label}", (1 - score) / 2)
    return LabelledImage(name, top_k, 64, 48, datetime(2026, 3, 2, tzinfo=UTC))


def publish_rows(
    workspace: Workspace, rows: list[LabelledImage], rejected: list[QuarantinedImage] = (), model: ModelStamp = MODEL
) -> None:
    """Publishes rows as a run does, and then lays the labels out as two files with a carried column."""
    destination = Destination.of_day(workspace, "garden", DAY)
    with destination.locked():
        staged = stage(destination)
        write_part(labels_table(rows, model), staged.labels / "part-0.parquet")
        write_part(quarantine_table(rejected), staged.quarantine / "part-0.parquet")
        parts = [PartFiles("part-0.parquet", "part-0.parquet")]
        publish(destination, staged, parts, [row.image for row in (*rows, *rejected)])


def split_with_carried_columns(workspace: Workspace, rows: list[LabelledImage], group: int = 2) -> None:
    """Puts several files of several row groups, with a column of the user's own, where one file was."""
    import pyarrow.parquet as pq

    folder = workspace.labels("garden", DAY)
    for file in folder.glob("*.parquet"):
        file.unlink()
    half = len(rows) // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        table = labels_table(part, MODEL).append_column("camera", pa.array([f"north {number}"] * len(part)))
        pq.write_table(table, folder / f"part-{number:05d}-x.parquet", row_group_size=group)


ROWS = [labelled(f"walk/{number}.jpg", "robin" if number % 3 else "wren", 0.05 + number / 12) for number in range(11)]


def test_rows_come_with_their_own_top_k_from_every_file_and_row_group(workspace: Workspace) -> None:
    publish_rows(workspace, ROWS)
    split_with_carried_columns(workspace, ROWS)
    day = read_day(workspace, "garden", DAY)
    shown = day.rows(day.select(Wanted(order="most")).slice(0, 100))
    assert [row.image for row in shown] == [row.image for row in reversed(ROWS)]
    for row, written in zip(shown, reversed(ROWS), strict=True):
        assert [one.label for one in row.top_k] == [one.label for one in written.top_k]
        assert [one.score for one in row.top_k] == pytest.approx([one.score for one in written.top_k])
        assert (row.model_name, row.model_version, row.graph_sha256) == ("birds", 3, "ab" * 32)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Wanted(label="wren"), [0, 3, 6, 9]),
        (Wanted(lowest=0.5, highest=0.7), [6, 7]),
        (Wanted(text="WALK/1"), [1, 10]),
        (Wanted(label="wren", lowest=0.5, order="most"), [9, 6]),
        (Wanted(order="name"), [0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9]),
        (Wanted(label="eagle"), []),
    ],
)
def test_a_day_is_filtered_and_sorted(workspace: Workspace, wanted: Wanted, numbers: list[int]) -> None:
    publish_rows(workspace, ROWS)
    day = read_day(workspace, "garden", DAY)
    assert [row.image for row in day.rows(day.select(wanted).slice(0, 100))] == [
        f"walk/{number}.jpg" for number in numbers
    ]


def test_a_page_of_many_rows_is_the_same_whether_all_are_put_in_order_or_only_its_own() -> None:
    random = np.random.default_rng(1)
    table = pa.table({"score": random.integers(0, 9, 500) / 10, "image": [f"{number:03}" for number in range(500)]})
    keys = [("score", "descending"), ("image", "ascending")]
    rows = SortedRows(table, keys)
    for first, count in ((0, 5), (10, 15), (20, 5), (21, 5), (480, 60), (500, 5)):
        assert rows.slice(first, count) == table.sort_by(keys).slice(first, count)


def test_one_image_is_found_by_its_name(workspace: Workspace) -> None:
    publish_rows(workspace, ROWS)
    day = read_day(workspace, "garden", DAY)
    found = day.find("walk/3.jpg")
    assert found is not None
    assert (found.label, found.width, found.height) == ("wren", 64, 48)
    assert day.find("walk/99.jpg") is None
    assert day.holds("walk/3.jpg")
    assert not day.holds("../secret")


def test_a_day_that_is_published_anew_is_read_anew(workspace: Workspace) -> None:
    publish_rows(workspace, ROWS)
    assert len(read_day(workspace, "garden", DAY)) == 11
    publish_rows(workspace, ROWS[:2], [QuarantinedImage("torn.jpg", "unreadable", "cut short")])
    assert len(read_day(workspace, "garden", DAY)) == 2
    assert read_quarantine(workspace, "garden", DAY).to_pylist() == [
        {"image": "torn.jpg", "reason": "unreadable", "detail": "cut short"}
    ]


def test_a_day_that_is_not_labelled_is_told(workspace: Workspace) -> None:
    with pytest.raises(InvalidImageSetError, match="not labelled; accepted: a day that label_images has published"):
        read_day(workspace, "garden", DAY)
    assert image_sets(workspace) == {}


def test_a_day_without_any_label_can_be_read(workspace: Workspace) -> None:
    publish_rows(workspace, [], [QuarantinedImage("torn.jpg", "empty", "0 bytes")])
    day = read_day(workspace, "garden", DAY)
    assert (len(day), day.labels(), day.mean_score(), day.models()) == (0, {}, None, [])
    (figures,) = day_figures(workspace, "garden", [DAY])
    assert (figures.labelled, figures.quarantined, figures.quarantine_share, figures.mean_score) == (0, 1, 1.0, None)


def test_the_figures_of_a_day_count_labels_reasons_and_models(workspace: Workspace) -> None:
    rejected = [QuarantinedImage(f"torn-{number}.jpg", "unreadable", "cut short") for number in range(4)]
    publish_rows(workspace, ROWS, rejected)
    assert image_sets(workspace) == {"garden": [DAY]}
    (figures,) = day_figures(workspace, "garden", [DAY])
    assert figures.labels == {"robin": 7, "wren": 4}
    assert figures.reasons == {"unreadable": 4}
    assert figures.models == (MODEL,)
    assert figures.quarantine_share == pytest.approx(4 / 15)
    assert figures.mean_score == pytest.approx(sum(row.top_k[0].score for row in ROWS) / 11)


def test_the_columns_that_readers_keep_are_columns_of_the_schema() -> None:
    from jobs.labelling import reading

    assert set(reading._COLUMNS) < set(LABELS.names)


def test_what_was_read_longest_ago_makes_room() -> None:
    recent: Recent[str] = Recent(10)
    read: list[str] = []

    def get(key: str, stamp: str = "first") -> str:
        return recent.get(key, stamp, lambda: (read.append(key) or f"{key} {stamp}", 4))

    assert [get("a"), get("b"), get("a")] == ["a first", "b first", "a first"]
    get("c")  # makes b go, which was asked for before a
    assert read == ["a", "b", "c"]
    assert [get("a"), get("c"), get("b")] == ["a first", "c first", "b first"]
    assert read == ["a", "b", "c", "b"]
    assert get("b", "second") == "b second"
