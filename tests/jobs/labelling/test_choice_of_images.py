"""Samples, minimum scores, and whether a day's images have arrived."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InvalidArgumentError
from jobs.labelling.arrival import COMPLETE_MARKER, Arrival, look
from jobs.labelling.minimum_score import keep_sure_labels
from jobs.labelling.sample import sample_positions
from jobs.labelling.schema import LabelledImage, QuarantinedImage, ScoredLabel

names = st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=40)


@given(names, st.integers(1, 50), st.randoms())
def test_a_sample_is_the_same_whenever_and_in_whatever_order_it_is_drawn(
    images: list[str], count: int, shuffle: object
) -> None:
    drawn = {images[at] for at in sample_positions(images, count)}
    other = list(images)
    shuffle.shuffle(other)  # type: ignore[attr-defined]
    assert drawn == {other[at] for at in sample_positions(other, count)}
    assert len(drawn) == min(count, len(images))


@given(names, st.integers(1, 20))
def test_a_larger_sample_holds_the_smaller(images: list[str], count: int) -> None:
    assert set(sample_positions(images, count)) <= set(sample_positions(images, count + 3))


def labelled(*scores: float) -> LabelledImage:
    return LabelledImage("a.jpg", tuple(ScoredLabel(f"l{s}", s) for s in scores), 3, 2, datetime.now(UTC))


@pytest.mark.parametrize(
    ("minimum", "kept"), [(0.0, [0.6, 0.3, 0.1]), (0.1, [0.6, 0.3, 0.1]), (0.2, [0.6, 0.3]), (0.6, [0.6])]
)
def test_labels_below_the_minimum_score_are_left_out(minimum: float, kept: list[float]) -> None:
    row = keep_sure_labels(labelled(0.6, 0.3, 0.1), minimum)
    assert isinstance(row, LabelledImage)
    assert [one.score for one in row.top_k] == kept


def test_an_image_without_a_sure_label_goes_to_quarantine_and_its_best_is_told() -> None:
    row = keep_sure_labels(labelled(0.6, 0.3), 0.61)
    assert row == QuarantinedImage("a.jpg", "low_score", "best is l0.6 with 0.6, below 0.61")
    bad = QuarantinedImage("b.jpg", "empty", "zero bytes")
    assert keep_sure_labels(bad, 0.61) is bad


@pytest.mark.parametrize(
    ("arguments", "named"), [(("--min-score", 1.5), "--min-score: 1.5"), (("--sample", 0), "--sample: 0")]
)
def test_a_choice_out_of_its_limits_is_named(request_for, arguments, named) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{named}; accepted: "):
        request_for("--graph", "g.pb", "--labels", "l.txt", "--images", "in", "--output", "out", *arguments)


def test_a_sample_is_published_under_its_own_name(request_for, tmp_path: Path) -> None:
    day = ("--image-set", "photos", "--date", "2026-03-01", "--workspace", tmp_path)
    request = request_for(
        "--model", "digits", *day, "--sample", 5, "--publish-as", "photos-sample", "--publish", "later"
    )
    assert request.destination.labels == tmp_path / "labels/photos-sample/ds=2026-03-01"
    assert (request.sample, request.publish) == (5, False)
    assert request_for("--model", "digits", *day).publish


NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("found", "earlier", "settled"),
    [
        (Arrival(3, 30, NOW - 20, False), None, True),
        (Arrival(3, 30, NOW - 5, False), None, False),
        (Arrival(3, 30, NOW - 5, False), Arrival(3, 30, NOW - 5, False), True),
        (Arrival(3, 30, NOW - 5, False), Arrival(3, 20, NOW - 5, False), False),
        (Arrival(3, 30, NOW + 900, False), Arrival(2, 30, NOW + 900, False), False),
        (Arrival(3, 30, NOW - 5, True), None, True),
        (Arrival(0, 0, 0.0, True), None, False),
        (Arrival(0, 0, 0.0, False), Arrival(0, 0, 0.0, False), False),
    ],
    ids=["old", "just copied", "two looks alike", "growing", "a clock ahead", "marked", "marked empty", "empty"],
)
def test_images_have_arrived_when_nobody_copies_any_more(
    found: Arrival, earlier: Arrival | None, settled: bool
) -> None:
    assert found.settled(earlier, 15, NOW) is settled


def test_a_look_counts_what_labelling_would_see(tmp_path: Path) -> None:
    assert look(tmp_path / "nowhere") == Arrival(0, 0, 0.0, False)
    (tmp_path / "sub").mkdir()
    for name in ("a.jpg", "sub/b.jpg", ".hidden", "_temporary"):
        (tmp_path / name).write_bytes(b"12345")
        os.utime(tmp_path / name, (NOW, NOW))
    assert look(tmp_path) == Arrival(2, 10, NOW, False)
    (tmp_path / COMPLETE_MARKER).touch()
    assert look(tmp_path).complete
