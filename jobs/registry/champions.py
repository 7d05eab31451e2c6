"""How a model's champion changed: an append-only record beside MLflow's alias, and the look-up by time.

MLflow's alias says who is champion now and forgets who was. Each change is one tag of the registered model, named after its
moment, so that two writers never overwrite each other's.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from jobs.errors import ModelNotFoundError
from jobs.records import mistake_in
from jobs.registry.mlflow_client import open_client
from jobs.registry.versions import CHAMPION, ModelVersion, find_champion, find_version
from jobs.workspace import Workspace

log = logging.getLogger("atoll")

_CHANGE_TAG = "atoll.champion."

_LONGEST_WORDS = 2000
"""Characters that are kept of a reason or a name; a page shows them in one line."""


class ChampionChange(BaseModel):
    """One version becoming champion.

    Attributes:
        version: The new champion.
        since: When it took over, with a time zone.
        who: The DAG run or the person that made it champion.
        why: The gate's reason, or what the person said.
        previous: The champion before; None when there was none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    since: AwareDatetime
    who: str
    why: str
    previous: int | None = None


def champion_history(model_name: str, workspace: Workspace) -> list[ChampionChange]:
    """Gives every recorded change of a model's champion, oldest first; a model without any has an empty history.

    Raises:
        ModelNotFoundError: There is no such model.
        ServiceUnavailableError: MLflow cannot be reached.
    """
    from mlflow.exceptions import MlflowException

    try:
        tags = open_client(workspace).get_registered_model(model_name).tags
    except MlflowException:
        raise ModelNotFoundError(f"model {model_name!r}: no such model; accepted: one that is registered") from None
    changes = [_read(model_name, key, text) for key, text in tags.items() if key.startswith(_CHANGE_TAG)]
    return sorted(changes, key=lambda change: change.since)


def set_champion(
    version: ModelVersion, workspace: Workspace, who: str, why: str, since: datetime | None = None
) -> bool:
    """Makes a version the champion of its model and records the change; may be repeated.

    The alias is moved first: a call that dies before it has recorded the change is completed by the next one.

    Args:
        version: The new champion.
        workspace: Where the registry lies when it has no server.
        who: The DAG run or the person that asks for it.
        why: The reason, in a line.
        since: From when on it counts as champion; None for now.

    Returns:
        Whether the history has a new entry.
    """
    client = open_client(workspace)
    previous = find_champion(version.name, workspace)
    client.set_registered_model_alias(version.name, CHAMPION, str(version.version))
    history = champion_history(version.name, workspace)
    if history and history[-1].version == version.version:
        return False
    if previous is None or previous.version == version.version:  # of what a call that died has moved
        before = history[-1].version if history else None
    else:
        before = previous.version
    change = ChampionChange(
        version=version.version,
        since=since or datetime.now(UTC),
        who=who[:_LONGEST_WORDS],
        why=why[:_LONGEST_WORDS],
        previous=before,
    )
    moment = change.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    client.set_registered_model_tag(version.name, f"{_CHANGE_TAG}{moment}", change.model_dump_json())
    return True


def champion_at(history: Sequence[ChampionChange], moment: datetime) -> ChampionChange | None:
    """Finds who was champion at a moment; None when nobody was yet.

    Args:
        history: In any order.
        moment: With a time zone; a champion counts from the very moment of its change.
    """
    return max((change for change in history if change.since <= moment), key=lambda change: change.since, default=None)


def find_champion_at(model_name: str, moment: datetime, workspace: Workspace) -> ModelVersion:
    """Finds the version of a model that was champion at a moment, with a time zone.

    Raises:
        ModelNotFoundError: There is no such model, or it had no champion then; says since when it has one.
    """
    history = champion_history(model_name, workspace)
    found = champion_at(history, moment)
    if found is None:
        first = f"one of {history[0].since:%Y-%m-%d %H:%M %Z} or later" if history else "none: no change is recorded"
        raise ModelNotFoundError(
            f"model {model_name!r}: it had no champion at {moment.astimezone(UTC):%Y-%m-%d %H:%M %Z}; "
            f"accepted: {first}; or choose the champion now, or a pinned version"
        )
    if found == history[-1]:
        _warn_of_unrecorded(model_name, found, workspace)
    return find_version(model_name, found.version, workspace)


def _warn_of_unrecorded(model_name: str, latest: ChampionChange, workspace: Workspace) -> None:
    now = find_champion(model_name, workspace)
    if now is None or now.version != latest.version:
        log.warning(
            "%s: the history ends with version %d, but the alias says %s: it was moved without roll_back_model",
            model_name,
            latest.version,
            f"version {now.version}" if now else "nobody",
        )


def _read(model_name: str, key: str, text: str) -> ChampionChange:
    try:
        return ChampionChange.model_validate_json(text)
    except ValidationError as error:
        raise ModelNotFoundError(
            f"model {model_name!r}: tag {key}: {mistake_in(error)}; accepted: an unedited record of this version"
        ) from None
