"""Telling people: of a task that has failed for good, and of a morning without results."""

import asyncio
import json
import logging
import os
import urllib.request
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import AsyncCallback, BaseNotifier, DeadlineAlert

from atoll.deadlines import RunQueued

log = logging.getLogger("atoll")

TIMEOUT = 10.0
"""Seconds that the chat's server has to answer."""


class ChatNotifier(BaseNotifier):
    """Posts a line to the incoming webhook of `ATOLL_NOTIFY_URL` (Slack, Mattermost, Teams and others take `{"text": ...}`).

    Without that variable the line stands in the log only. A chat that does not answer never fails a task.
    """

    def notify(self, context: Any) -> None:
        """Says which task failed, and why."""
        post(failure_line(context))


def failure_line(context: Mapping[str, Any]) -> str:
    """Writes which task of which run failed, why, and where its log is."""
    task = context.get("task_instance") or context.get("ti")
    run = context.get("dag_run")
    what = f"{task.dag_id}.{task.task_id}" if task else str(getattr(context.get("dag"), "dag_id", "a run"))
    reason = context.get("exception") or context.get("reason") or "no reason is known"
    where = getattr(task, "log_url", None)
    line = f"FAILED: {what} of {getattr(run, 'run_id', 'an unknown run')}: {' '.join(str(reason).split())[:500]}"
    return f"{line} ({where})" if where else line


def morning_deadline(hours: float) -> DeadlineAlert:
    """Tells people when a run has not ended so many hours after it was queued."""
    return DeadlineAlert(
        reference=RunQueued(),
        interval=timedelta(hours=hours),
        callback=AsyncCallback(deadline_missed, kwargs={"hours": hours}),
    )


async def deadline_missed(hours: float, context: Mapping[str, Any] | None = None) -> None:
    """Says which run is late; Airflow's triggerer calls it."""
    run = (context or {}).get("dag_run") or {}
    what = f"{run.get('dag_id', 'a run')} {run.get('dag_run_id') or run.get('run_id') or ''}".strip()
    await asyncio.to_thread(post, f"LATE: {what} has not ended {hours:g} hours after it was queued")


def post(line: str) -> bool:
    """Posts a line to the webhook, if there is one; tells whether it was taken."""
    log.warning("%s", line)
    address = os.environ.get("ATOLL_NOTIFY_URL", "")
    if not address:
        return False
    if not address.startswith(("http://", "https://")):
        log.error("ATOLL_NOTIFY_URL: no address of a webhook; accepted: https://...")
        return False
    message = urllib.request.Request(  # noqa: S310  # an administrator's own address, of http or https
        address, json.dumps({"text": line}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(message, timeout=TIMEOUT) as answer:  # noqa: S310
            return bool(200 <= answer.status < 300)
    except (OSError, ValueError) as error:
        log.error("ATOLL_NOTIFY_URL: the message was not taken: %s", error)
        return False
