"""The asset that changes when a model gets another champion."""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Asset, AssetAlias

from jobs.results import Promotion, RolledBack

CHAMPION = AssetAlias("atoll_champion")
"""Outlet of every task that may change a champion; which model's it is, is known when it runs."""


IMAGE_SETS = Asset("atoll://image_sets/announced")
"""Whoever has copied a day's images may announce it by an event of this asset, with `image_set` and `day` as its extra."""

LABELS = AssetAlias("atoll_labels")
"""Outlet of every task that publishes labels; of which image set, is known when it runs."""


def announce_labels(outlet_events: Any, name: str, published: Mapping[str, Any]) -> None:
    """Adds an event to the asset of an image set's labels."""
    outlet_events[LABELS].add(Asset(f"atoll://labels/{name}"), extra=dict(published))


def announced_image_set(events: Mapping[Any, Sequence[Any]] | None) -> dict[str, str]:
    """Gives the `image_set` and the `day` that the latest event of `IMAGE_SETS` names; empty for a run without one."""
    given = [event for announced in (events or {}).values() for event in announced if event.extra]
    latest = max(given, key=lambda event: event.timestamp, default=None)
    extra = latest.extra if latest else {}
    return {name: str(extra[name]) for name in ("image_set", "day") if extra.get(name)}


def announce_champion(
    outlet_events: Any, change: Promotion | RolledBack, metrics: Mapping[str, float] | None = None
) -> None:
    """Adds an event to the asset of the model, which carries the whole change; other DAGs can be scheduled on it.

    Args:
        outlet_events: Of the task's context.
        change: What has happened.
        metrics: Of the new champion, where they are known.
    """
    champion = Asset(f"atoll://champion/{change.model_name}")
    outlet_events[CHAMPION].add(champion, extra=change.model_dump(mode="json") | {"metrics": dict(metrics or {})})
