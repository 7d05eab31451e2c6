"""The asset that changes when a model gets another champion."""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Asset, AssetAlias

from jobs.results import Promotion, RolledBack

CHAMPION = AssetAlias("atoll_champion")
"""Outlet of every task that may change a champion; which model's it is, is known when it runs."""


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
