"""Waiting for a day's images without holding a worker: the sensor, and its trigger."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseSensorOperator, Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from jobs.labelling.arrival import look
from jobs.object_place import place_of

SETTLE = 15.0
"""Seconds for which nothing may have changed in a folder that is not marked as complete."""


class ImageSetTrigger(BaseTrigger):
    """Looks into a folder until its images have arrived, or the time is up.

    Args:
        folder: Of the day's images.
        deadline: Until when to look, in ISO format with a time zone.
        settle: Seconds between two looks that must be alike.
    """

    def __init__(self, folder: str, deadline: str, settle: float = SETTLE) -> None:
        super().__init__()
        self.folder, self.deadline, self.settle = folder, deadline, settle

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Gives what the triggerer needs to make this trigger again."""
        given = {"folder": self.folder, "deadline": self.deadline, "settle": self.settle}
        return f"{type(self).__module__}.{type(self).__qualname__}", given

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Gives one event, with the number of images; 0 when the time is up."""
        earlier = None
        while True:
            now = await asyncio.to_thread(look, place_of(self.folder))
            if now.settled(earlier, self.settle):
                yield TriggerEvent({"images": now.images})
                return
            left = (datetime.fromisoformat(self.deadline) - datetime.now(UTC)).total_seconds()
            if left <= 0 and not now.images:  # a copy that has begun is waited for
                yield TriggerEvent({"images": 0})
                return
            earlier = now
            await asyncio.sleep(self.settle if left <= 0 else min(self.settle, max(left, 0.01)))


class ImageSetSensor(BaseSensorOperator):
    """Waits for a day's images; while it waits, it needs neither a worker nor a slot of a pool.

    Args:
        folder: Of the day's images (templated).
        deadline: Until when they may arrive, in ISO format with a time zone (templated). A day whose deadline has passed, as in
            a backfill, is decided at once.
        if_missing: `skip` or `fail` (templated): what a day without images comes to.
        settle: Seconds for which nothing may have changed in the folder, unless it holds the file `_SUCCESS`.
    """

    template_fields: Sequence[str] = ("folder", "deadline", "if_missing")
    ui_color = "#e6f1f2"

    def __init__(self, *, folder: str, deadline: str, if_missing: str, settle: float = SETTLE, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder, self.deadline, self.if_missing, self.settle = folder, deadline, if_missing, settle

    def execute(self, context: Context) -> int:
        """Gives the number of images where they are there; else hands over to the trigger."""
        found = look(place_of(self.folder))
        if found.settled(None, self.settle):
            return self._arrived(found.images)
        if not found.images and datetime.fromisoformat(self.deadline) <= datetime.now(UTC):
            self._missing()
        self.log.info("waiting for images in %s until %s", self.folder, self.deadline)
        self.defer(
            trigger=ImageSetTrigger(self.folder, self.deadline, self.settle), method_name=self.execute_complete.__name__
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> int:
        """Goes on after the trigger."""
        return self._arrived(event["images"]) if event["images"] else self._missing()

    def _arrived(self, images: int) -> int:
        self.log.info("%d image(s) in %s", images, self.folder)
        return images

    def _missing(self) -> int:
        message = (
            f"{self.folder}: no images by {self.deadline}; accepted: a folder with images. When they have arrived, clear "
            "this task"
        )
        raise (AirflowSkipException if self.if_missing == "skip" else AirflowFailException)(message)
