"""What one labelling run is about: its day, and the version that labels it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args

from jobs.errors import InvalidArgumentError
from jobs.labelling.arrival import is_there
from jobs.registry.champions import find_champion_at
from jobs.registry.versions import ModelVersion, find_version
from jobs.results import LabellingPlan
from jobs.workspace import Workspace

ModelPolicy = Literal["champion", "as_of", "pinned"]
"""`champion`: who is champion now. `as_of`: who was when the day ended. `pinned`: a version by its number."""

_HAS_AN_INTERVAL_OF_ITS_OWN = {"scheduled", "backfill"}


@dataclass(frozen=True)
class RunOfADay:
    """What Airflow knows of a run.

    Attributes:
        kind: Such as `scheduled`, `backfill`, `manual`, `asset_triggered`.
        interval_start: Begin of its data interval; None for a run by hand or by an asset.
        interval_end: End of its data interval; None as above.
        run_after: When it was to begin.
    """

    kind: str
    interval_start: datetime | None
    interval_end: datetime | None
    run_after: datetime

    @property
    def due(self) -> datetime:
        """From when on its images can be expected."""
        return self.interval_end or self.run_after


def choose_day(asked: str | None, run: RunOfADay) -> date:
    """Chooses the day to label: the one asked for, else that of the data interval, else that of the run.

    Raises:
        InvalidArgumentError: It is no day, or a day is asked for in a run that has its own.
    """
    if not asked:
        return (run.interval_start or run.run_after).astimezone(UTC).date()
    try:
        day = date.fromisoformat(asked)
    except ValueError:
        raise InvalidArgumentError(f"day: {asked!r}; accepted: YYYY-MM-DD, or empty") from None
    if run.kind in _HAS_AN_INTERVAL_OF_ITS_OWN:
        raise InvalidArgumentError(
            f"day: {asked}; accepted in a {run.kind} run: empty, since each of its runs has a day of its own"
        )
    return day


def choose_model(
    name: str, policy: str, pinned: int | None, day: date, run: RunOfADay, workspace: Workspace
) -> tuple[ModelVersion, str]:
    """Finds the version that labels a day, and says in a few words why it is this one.

    Args:
        name: Name of the model.
        policy: A `ModelPolicy`; with a pinned version, `champion` gives way to it.
        pinned: Number of the version.
        day: The day to label.
        run: The run; a day without a data interval ends at midnight, UTC.
        workspace: Where the registry lies when it has no server.

    Raises:
        InvalidArgumentError: The policy and the pinned version do not go together.
        ModelNotFoundError: There is no such model or version, or nobody was champion then.
    """
    if policy not in get_args(ModelPolicy):
        raise InvalidArgumentError(f"model policy: {policy!r}; accepted: {', '.join(get_args(ModelPolicy))}")
    if policy == "as_of" and pinned is not None:
        raise InvalidArgumentError(f"model version: {pinned}; accepted with the policy as_of: empty")
    if policy == "pinned" and pinned is None:
        raise InvalidArgumentError("model version: empty; accepted with the policy pinned: the number of a version")
    if pinned is not None:
        return find_version(name, pinned, workspace), "pinned"
    if policy == "champion":
        return find_version(name, None, workspace), "the champion now"
    ended = run.interval_end or datetime.combine(day + timedelta(days=1), time(), UTC)
    return find_champion_at(name, ended, workspace), f"the champion of {ended:%Y-%m-%d %H:%M} UTC"


def published_name(image_set: str, variant: str | None, sample: int | None, workspace: Workspace) -> str:
    """Chooses under which name the labels of a day are published.

    A sample has a name of its own, so that a part never takes the place of a whole day; so has a variant, such as the labels
    of another version that are to be compared with those of the day.

    Raises:
        InvalidArgumentError: Another image set has that name.
    """
    name = "-".join(filter(None, [image_set, variant, "sample" if sample else None]))
    if name != image_set and is_there(workspace.image_set(name, date.min).parent):
        raise InvalidArgumentError(
            f"{name}: these labels would be taken for those of the image set of that name; accepted: another variant than "
            f"{variant!r}"
        )
    return name


def plan_labelling(
    image_set: str, day: date, version: ModelVersion, chosen: str, wait_until: datetime, published_as: str,
    workspace: Workspace,
) -> LabellingPlan:  # fmt: skip
    """Puts together what the tasks of a run agree on."""
    return LabellingPlan(
        image_set=image_set,
        day=day,
        images=str(workspace.image_set(image_set, day)),
        published_as=published_as,
        model_name=version.name,
        model_version=version.version,
        chosen=chosen,
        wait_until=wait_until,
    )
