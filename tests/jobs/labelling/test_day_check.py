"""Stage, check, publish: three steps that may lie hours apart, on real Parquet files."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.errors import PublishError, QualityError
from jobs.labelling import publish as publishing
from jobs.labelling.day_check import OnDrift, check_day, published_days
from jobs.labelling.destination import Destination
from jobs.labelling.partition import PartFiles, write_part
from jobs.labelling.publication import publish_day
from jobs.labelling.publish import seal, stage
from jobs.labelling.quality import QualityRule
from jobs.labelling.schema import (
    LabelledImage,
    ModelStamp,
    QuarantinedImage,
    ScoredLabel,
    labels_table,
    quarantine_table,
)
from jobs.results import LabelledImageSet, LabellingPlan, QualityCheck
from jobs.workspace import Workspace

TODAY = date(2026, 3, 10)
STAMP = ModelStamp("digits", 1, "0" * 64)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def plan(workspace: Workspace, day: date) -> LabellingPlan:
    return LabellingPlan(
        image_set="photos", day=day, images="", published_as="photos", model_name="digits", model_version=1,
        chosen="pinned", wait_until=datetime(2026, 3, 11, tzinfo=UTC),
    )  # fmt: skip


def stage_day(workspace: Workspace, day: date, label: str, images: int = 300, quarantined: int = 3) -> LabelledImageSet:
    """Leaves what the labelling step leaves: every third image is a dog, the others are as asked."""
    destination = Destination.of_day(workspace, "photos", day)
    names = [f"{number}.jpg" for number in range(images)]
    rows = [
        LabelledImage(name, (ScoredLabel(label if at % 3 else "dog", 0.9),), 3, 2, datetime.now(UTC))
        for at, name in enumerate(names)
    ]
    bad = [QuarantinedImage(f"bad{number}.jpg", "empty", "zero bytes") for number in range(quarantined)]
    with destination.locked():
        staged = stage(destination)
        write_part(labels_table(rows, STAMP), staged.labels / "part-00000-1.parquet")
        write_part(quarantine_table(bad), staged.quarantine / "part-00000-1.parquet")
        parts = [PartFiles("part-00000-1.parquet", "part-00000-1.parquet")]
        seal(staged, parts, [*names, *(one.image for one in bad)])
    return LabelledImageSet(
        model_name="digits", model_version=1, graph_sha256="0" * 64, images=images + quarantined, labelled=images,
        quarantined=quarantined, reasons={"empty": quarantined}, labels=str(destination.labels),
        quarantine=str(destination.quarantine), seconds=1, staged=staged.run,
    )  # fmt: skip


def publish_days(workspace: Workspace, days: int) -> None:
    for before in range(1, days + 1):
        day = TODAY - timedelta(days=before)
        publish_day(plan(workspace, day), stage_day(workspace, day, "cat"), workspace)


def check(workspace: Workspace, labelled: LabelledImageSet, on_drift: OnDrift = "fail", days: int = 7) -> QualityCheck:
    return check_day(plan(workspace, TODAY), labelled, workspace, QualityRule(), days, on_drift)


def published(workspace: Workspace) -> bool:
    return workspace.labels("photos", TODAY).exists() or workspace.quarantine("photos", TODAY).exists()


def test_a_day_like_the_days_before_passes_and_only_then_readers_see_it(workspace: Workspace) -> None:
    publish_days(workspace, 3)
    labelled = stage_day(workspace, TODAY, "cat")
    checked = check(workspace, labelled)
    assert (checked.verdict, len(checked.compared_with), len(checked.measures)) == ("passed", 3, 3)
    assert not published(workspace)
    publish_day(plan(workspace, TODAY), labelled, workspace)
    assert pq.read_table(labelled.labels).num_rows == 300
    assert pq.read_table(labelled.quarantine).num_rows == 3


def test_a_day_of_other_labels_fails_before_it_is_published(workspace: Workspace) -> None:
    publish_days(workspace, 3)
    labelled = stage_day(workspace, TODAY, "zebra")
    with pytest.raises(QualityError, match=r"photos 2026-03-10: population stability index of the labels \d"):
        check(workspace, labelled)
    assert not published(workspace)
    publish_day(plan(workspace, TODAY), labelled, workspace)  # somebody has marked the check as success
    assert published(workspace)


def test_a_warning_lets_the_day_through_and_stands_in_the_log(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    publish_days(workspace, 3)
    checked = check(workspace, stage_day(workspace, TODAY, "zebra"), "warn")
    assert checked.verdict == "warned"
    assert "NOT OK: population stability index" in caplog.text


def test_a_check_that_is_switched_off_does_not_look(workspace: Workspace) -> None:
    publish_days(workspace, 1)
    assert check(workspace, stage_day(workspace, TODAY, "zebra"), "off").verdict == "off"


def test_the_first_day_has_nothing_to_be_compared_with(workspace: Workspace) -> None:
    checked = check(workspace, stage_day(workspace, TODAY, "zebra"))
    assert (checked.verdict, checked.compared_with) == ("passed", [])
    bad = stage_day(workspace, TODAY, "zebra", images=10, quarantined=90)
    with pytest.raises(QualityError, match=r"share of quarantine 90\.0%"):
        check(workspace, bad)


def test_only_published_days_before_the_day_count(workspace: Workspace) -> None:
    publish_days(workspace, 3)
    tomorrow = TODAY + timedelta(days=1)
    publish_day(plan(workspace, tomorrow), stage_day(workspace, tomorrow, "zebra"), workspace)
    stage_day(workspace, TODAY - timedelta(days=4), "zebra")
    assert sorted(published_days(workspace, "photos", TODAY, 7)) == [TODAY - timedelta(days=n) for n in (3, 2, 1)]
    assert sorted(published_days(workspace, "photos", TODAY, 2)) == [TODAY - timedelta(days=n) for n in (2, 1)]


def test_publishing_twice_changes_nothing(workspace: Workspace) -> None:
    labelled = stage_day(workspace, TODAY, "cat")
    publish_day(plan(workspace, TODAY), labelled, workspace)
    files = sorted(Path(labelled.labels).iterdir())
    publish_day(plan(workspace, TODAY), labelled, workspace)
    assert sorted(Path(labelled.labels).iterdir()) == files


def test_what_was_staged_before_the_day_was_labelled_again_is_not_published(workspace: Workspace) -> None:
    old = stage_day(workspace, TODAY, "cat")
    new = stage_day(workspace, TODAY, "cat")
    for step in (check, lambda place, rows: publish_day(plan(place, TODAY), rows, place)):
        with pytest.raises(PublishError, match=r"is gone.*clear label_images"):
            step(workspace, old)
    assert not published(workspace)
    publish_day(plan(workspace, TODAY), new, workspace)
    assert published(workspace)


def test_publishing_that_was_killed_half_way_is_completed_by_its_retry(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    swapped: list[Path] = []

    def swap_one(new: Path, target: Path, retired: Path) -> None:
        if swapped:
            raise Killed
        swapped.append(target)
        new.rename(target)

    labelled = stage_day(workspace, TODAY, "cat")
    with monkeypatch.context() as patched:
        patched.setattr(publishing, "swap_in", swap_one)
        with pytest.raises(Killed):
            publish_day(plan(workspace, TODAY), labelled, workspace)
    publish_day(plan(workspace, TODAY), labelled, workspace)
    assert pq.read_table(labelled.labels).num_rows == 300
    assert pq.read_table(labelled.quarantine).num_rows == 3
    assert [path.name for path in Path(labelled.labels).parent.iterdir() if ".staged-" in path.name] == []
