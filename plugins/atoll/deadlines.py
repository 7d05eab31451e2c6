"""From when on a run's deadline is counted."""

from datetime import datetime
from typing import Any

from airflow.sdk.definitions.deadline import BaseDeadlineReference


class RunQueued(BaseDeadlineReference):
    """The moment at which a run was queued first; clearing its tasks later does not move its deadline.

    Airflow 3.3's own `DAGRUN_QUEUED_AT` would be moved by clearing, which fails: the API server answers 500 to the person who
    clears a task, since it takes the stored interval for a number. So no failed run could be repaired before its deadline.
    """

    required_kwargs = {"dag_id", "run_id"}

    def _evaluate_with(self, *, session: Any, dag_id: str, run_id: str) -> datetime | None:
        """Reads the moment in Airflow's scheduler or API server, which may open its database; a task may not."""
        from airflow.models import DagRun
        from sqlalchemy import select

        queued: datetime | None = session.scalar(
            select(DagRun.queued_at).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        )
        return queued
