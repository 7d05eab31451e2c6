"""Who was champion when: the history that promotions and rollbacks leave in MLflow's registry."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.errors import InvalidArgumentError, ModelNotFoundError
from jobs.registry.champions import (
    ChampionChange,
    champion_at,
    champion_history,
    find_champion_at,
    set_champion,
)
from jobs.registry.mlflow_client import open_client
from jobs.registry.rollback import rollback
from jobs.registry.versions import CHAMPION, find_version, register
from jobs.workspace import Workspace

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A registry with one model per test, each of three versions."""
    return Workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def model(registry: Workspace, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    name = f"m{abs(hash(request.node.name))}"
    for number in (1, 2, 3):
        (tmp_path / "graph.pb").write_bytes(bytes([number]))
        (tmp_path / "labels.txt").write_text("a\n")
        register(name, f"{name}-study-{number}", "fingerprint", tmp_path, {}, registry)
    return name


def crown(model: str, version: int, registry: Workspace, since: datetime | None = None) -> bool:
    return set_champion(find_version(model, version, registry), registry, f"night {version}", "better", since)


def changes(*pairs: tuple[int, datetime]) -> list[ChampionChange]:
    return [ChampionChange(version=version, since=since, who="w", why="y") for version, since in pairs]


@pytest.mark.parametrize(
    ("after_noon", "version"),
    [
        (timedelta(microseconds=-1), None),
        (timedelta(0), 1),  # from the very moment of the change
        (timedelta(hours=23), 1),
        (timedelta(days=1), 2),
        (timedelta(days=2, microseconds=-1), 2),
        (timedelta(days=2), 1),  # rolled back
        (timedelta(days=900), 1),
    ],
)
def test_a_champion_reigns_until_the_next_one(after_noon: timedelta, version: int | None) -> None:
    history = changes((2, NOON + timedelta(days=1)), (1, NOON), (1, NOON + timedelta(days=2)))
    found = champion_at(history, NOON + after_noon)
    assert (found.version if found else None) == version


def test_a_model_without_a_history_had_no_champion() -> None:
    assert champion_at([], NOON) is None


def test_every_change_is_kept_with_who_and_why_and_what_was_before(registry: Workspace, model: str) -> None:
    assert champion_history(model, registry) == []
    began = datetime.now(UTC)
    crown(model, 1, registry)
    crown(model, 3, registry)
    back = rollback(model, 1, registry, "ada", "it calls  zebras\nhorses")
    first, second, third = champion_history(model, registry)
    assert [change.version for change in (first, second, third)] == [1, 3, 1]
    assert [change.previous for change in (first, second, third)] == [None, 1, 3]
    assert (second.who, second.why) == ("night 3", "better")
    assert (third.who, third.why) == ("ada", "it calls zebras horses")
    assert began <= first.since <= second.since <= third.since <= datetime.now(UTC)
    assert (back.changed, back.champion_version, back.previous_version) == (True, 1, 3)
    assert find_version(model, None, registry).version == 1


def test_rolling_back_twice_changes_nothing_the_second_time(registry: Workspace, model: str) -> None:
    crown(model, 1, registry)
    crown(model, 2, registry)
    assert rollback(model, 1, registry, "ada", "worse at night").changed
    again = rollback(model, 1, registry, "ada", "worse at night")
    assert (again.changed, again.champion_version) == (False, 1)
    assert [change.version for change in champion_history(model, registry)] == [1, 2, 1]


def test_what_died_between_the_alias_and_its_record_is_completed_by_the_next_try(
    registry: Workspace, model: str
) -> None:
    crown(model, 1, registry)
    open_client(registry).set_registered_model_alias(model, CHAMPION, "2")
    assert crown(model, 2, registry)
    assert [(change.version, change.previous) for change in champion_history(model, registry)] == [(1, None), (2, 1)]


def test_each_day_finds_the_version_that_was_champion_then(registry: Workspace, model: str) -> None:
    for version in (1, 2, 3):
        crown(model, version, registry, NOON + timedelta(days=10 * version))
    found = [find_champion_at(model, NOON + timedelta(days=day), registry).version for day in (10, 19, 20, 29, 30, 99)]
    assert found == [1, 1, 2, 2, 3, 3]


def test_before_the_first_champion_the_message_says_since_when_there_is_one(registry: Workspace, model: str) -> None:
    with pytest.raises(ModelNotFoundError, match="no champion at 2026-03-01 12:00 UTC; accepted: none: no change"):
        find_champion_at(model, NOON, registry)
    crown(model, 2, registry, NOON + timedelta(hours=1))
    with pytest.raises(ModelNotFoundError, match="accepted: one of 2026-03-01 13:00 UTC or later"):
        find_champion_at(model, NOON, registry)


def test_a_champion_that_was_made_in_mlflow_alone_is_warned_of(
    registry: Workspace, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    crown(model, 1, registry, NOON)
    open_client(registry).set_registered_model_alias(model, CHAMPION, "3")
    assert find_champion_at(model, NOON, registry).version == 1
    assert "ends with version 1, but the alias says version 3" in caplog.text


@pytest.mark.parametrize(
    ("version", "who", "why", "error"),
    [
        (9, "ada", "worse", ModelNotFoundError),
        (1, " ", "worse", InvalidArgumentError),
        (1, "ada", "\n", InvalidArgumentError),
    ],
)
def test_a_rollback_that_cannot_be_is_refused_and_changes_nothing(
    registry: Workspace, model: str, version: int, who: str, why: str, error: type[Exception]
) -> None:
    crown(model, 2, registry)
    with pytest.raises(error, match="accepted: "):
        rollback(model, version, registry, who, why)
    assert find_version(model, None, registry).version == 2
    assert len(champion_history(model, registry)) == 1


def test_a_model_that_is_not_there_has_no_history(registry: Workspace) -> None:
    with pytest.raises(ModelNotFoundError, match="'nosuch': no such model"):
        champion_history("nosuch", registry)
