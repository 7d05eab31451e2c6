"""Which day a run labels, and with which version."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from jobs.errors import InvalidArgumentError, ModelNotFoundError
from jobs.labelling.plan import RunOfADay, choose_day, choose_model, plan_labelling, published_name
from jobs.registry.champions import set_champion
from jobs.registry.versions import find_version, register
from jobs.workspace import Workspace

NIGHT = RunOfADay(
    "scheduled",
    datetime(2026, 3, 1, 4, tzinfo=UTC),
    datetime(2026, 3, 2, 4, tzinfo=UTC),
    datetime(2026, 3, 2, 4, tzinfo=UTC),
)
BY_HAND = RunOfADay("manual", None, None, datetime(2026, 5, 7, 9, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("asked", "run", "day"),
    [
        (None, NIGHT, date(2026, 3, 1)),
        ("", NIGHT, date(2026, 3, 1)),
        (None, BY_HAND, date(2026, 5, 7)),
        ("2026-04-30", BY_HAND, date(2026, 4, 30)),
    ],
    ids=["its interval", "empty", "the day of the trigger", "the day asked for"],
)
def test_a_run_labels_one_day(asked: str | None, run: RunOfADay, day: date) -> None:
    assert choose_day(asked, run) == day


@pytest.mark.parametrize("kind", ["scheduled", "backfill"])
def test_one_day_for_all_runs_of_a_backfill_is_refused(kind: str) -> None:
    run = RunOfADay(kind, NIGHT.interval_start, NIGHT.interval_end, NIGHT.run_after)
    with pytest.raises(InvalidArgumentError, match=rf"day: 2026-04-30; accepted in a {kind} run: empty"):
        choose_day("2026-04-30", run)


def test_what_is_no_day_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"day: '30\.4\.2026'; accepted: YYYY-MM-DD"):
        choose_day("30.4.2026", BY_HAND)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A registry with three versions, each champion from one day of March on, at one o'clock."""
    made, files = Workspace(tmp_path_factory.mktemp("workspace")), tmp_path_factory.mktemp("files")
    for version, day in ((1, 1), (2, 10), (3, 20)):
        (Path(files) / "graph.pb").write_bytes(bytes([version]))
        (Path(files) / "labels.txt").write_text("a\n")
        register("digits", f"study-{version}", "f", files, {}, made)
        since = datetime(2026, 3, day, 1, tzinfo=UTC)
        set_champion(find_version("digits", version, made), made, "night", "better", since)
    return made


def interval(day: int) -> RunOfADay:
    return RunOfADay(
        "backfill",
        datetime(2026, 3, day, 4, tzinfo=UTC),
        datetime(2026, 3, day + 1, 4, tzinfo=UTC),
        datetime(2026, 3, day + 1, 4, tzinfo=UTC),
    )


def version_of(workspace: Workspace, policy: str, pinned: int | None, day: int) -> int:
    run = interval(day)
    return choose_model("digits", policy, pinned, date(2026, 3, day), run, workspace)[0].version


def test_a_backfill_across_three_champions_gives_each_day_its_own(workspace: Workspace) -> None:
    found = {day: version_of(workspace, "as_of", None, day) for day in (1, 8, 9, 18, 19, 28)}
    assert found == {1: 1, 8: 1, 9: 2, 18: 2, 19: 3, 28: 3}, "the champion of the night that follows the day"


def test_the_champion_now_labels_all_days_alike_and_a_pinned_version_too(workspace: Workspace) -> None:
    assert {version_of(workspace, "champion", None, day) for day in (1, 28)} == {3}
    assert {version_of(workspace, "pinned", 2, day) for day in (1, 28)} == {2}
    assert version_of(workspace, "champion", 1, 28) == 1, "a version that is given is meant"


def test_by_hand_the_champion_of_a_day_is_that_of_its_midnight(workspace: Workspace) -> None:
    version, chosen = choose_model("digits", "as_of", None, date(2026, 3, 9), BY_HAND, workspace)
    assert (version.version, chosen) == (1, "the champion of 2026-03-10 00:00 UTC")


def test_a_day_before_the_first_champion_says_since_when_there_is_one(workspace: Workspace) -> None:
    with pytest.raises(ModelNotFoundError, match="no champion at 2026-02-21 00:00 UTC; accepted: one of 2026-03-01"):
        choose_model("digits", "as_of", None, date(2026, 2, 20), BY_HAND, workspace)


@pytest.mark.parametrize(
    ("policy", "pinned", "named"),
    [("as_of", 2, "model version: 2"), ("pinned", None, "model version: empty"), ("best", None, "policy: 'best'")],
)
def test_a_policy_and_a_version_that_do_not_go_together_are_refused(
    workspace: Workspace, policy: str, pinned: int | None, named: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{named}.*; accepted"):
        version_of(workspace, policy, pinned, 1)


@pytest.mark.parametrize(
    ("variant", "sample", "name"),
    [
        (None, None, "photos"),
        (None, 100, "photos-sample"),
        ("challenger", None, "photos-challenger"),
        ("challenger", 100, "photos-challenger-sample"),
    ],
)
def test_neither_a_sample_nor_a_variant_takes_the_place_of_a_day(
    workspace: Workspace, variant: str | None, sample: int | None, name: str
) -> None:
    assert published_name("photos", variant, sample, workspace) == name
    plan = plan_labelling(
        "photos", date(2026, 3, 1), find_version("digits", 1, workspace), "pinned", datetime(2026, 3, 2, 5, tzinfo=UTC), name,
        workspace,
    )  # fmt: skip
    assert plan.images == str(workspace.root / "image_sets/photos/ds=2026-03-01")


def test_a_variant_is_never_taken_for_another_image_set(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.image_set("photos-night", date(2026, 3, 1)).mkdir(parents=True)
    with pytest.raises(InvalidArgumentError, match=r"photos-night: .*; accepted: another variant than 'night'"):
        published_name("photos", "night", None, workspace)
