"""The sensor for a day's images, and the trigger that waits for it in the triggerer."""

import asyncio
import os
import pydoc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow.triggers.base import TriggerEvent
from atoll.image_sets import ImageSetSensor, ImageSetTrigger

from jobs.labelling.sources.folder import FolderOfImages

PAST = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "photos" / "ds=2026-03-01"


@pytest.fixture
def arrive(folder: Path) -> Callable[..., None]:
    def write(name: str = "a.jpg", age: float = 3600) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"image")
        then = datetime.now().timestamp() - age
        os.utime(folder / name, (then, then))

    return write


def sensor(folder: Path, deadline: str, if_missing: str = "fail") -> ImageSetSensor:
    return ImageSetSensor(task_id="wait", folder=str(folder), deadline=deadline, if_missing=if_missing)


def test_images_that_are_there_are_not_waited_for(folder: Path, arrive: Callable[..., None]) -> None:
    arrive()
    arrive("b.jpg")
    assert sensor(folder, PAST).execute({}) == 2


def test_links_that_lead_round_and_round_are_not_followed(folder: Path, arrive: Callable[..., None]) -> None:
    arrive()
    for name in ("one", "two"):
        (folder / name).symlink_to("..", target_is_directory=True)
    (folder / "self").symlink_to("self")
    arrive("_SUCCESS")
    assert sensor(folder, PAST).execute({}) == 4 == len(FolderOfImages(str(folder)).load())


@pytest.mark.parametrize(("choice", "outcome"), [("fail", AirflowFailException), ("skip", AirflowSkipException)])
def test_a_day_without_images_fails_or_is_skipped_by_choice(
    folder: Path, choice: str, outcome: type[Exception]
) -> None:
    with pytest.raises(outcome, match=r"ds=2026-03-01: no images by .*; accepted: a folder with images"):
        sensor(folder, PAST, choice).execute({})
    with pytest.raises(outcome, match="no images by"):
        sensor(folder, LATER, choice).execute_complete({}, {"images": 0})


def test_a_day_that_may_still_come_is_left_to_the_triggerer(folder: Path) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        sensor(folder, LATER).execute({})
    path, given = deferred.value.trigger.serialize()
    assert pydoc.locate(path)(**given).serialize() == (path, given)
    assert (given["folder"], given["deadline"]) == (str(folder), LATER)
    assert sensor(folder, LATER).execute_complete({}, {"images": 4}) == 4
    assert deferred.value.method_name == "execute_complete"


def test_images_that_are_still_being_copied_are_waited_for_even_after_the_deadline(
    folder: Path, arrive: Callable[..., None]
) -> None:
    arrive(age=0)
    with pytest.raises(TaskDeferred):
        sensor(folder, PAST).execute({})
    arrive("_SUCCESS", age=0)
    assert sensor(folder, PAST).execute({}) == 1


def event_of(trigger: ImageSetTrigger, meanwhile: Callable[[], None] | None = None) -> TriggerEvent:
    """Runs the trigger beside something that happens meanwhile, and gives its event."""

    async def both() -> TriggerEvent:
        first = asyncio.ensure_future(anext(trigger.run()))
        if meanwhile:
            await asyncio.to_thread(meanwhile)
        return await asyncio.wait_for(first, 30)

    return asyncio.run(both())


def test_the_trigger_sees_images_that_arrive(folder: Path, arrive: Callable[..., None]) -> None:
    assert event_of(ImageSetTrigger(str(folder), LATER, 0.01), arrive).payload == {"images": 1}


def test_the_trigger_waits_until_a_copy_has_ended(
    folder: Path, arrive: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def looked(place: Path) -> object:
        from jobs.labelling.arrival import look

        if len(looks) < 3:  # somebody copies one more between each two looks
            arrive(f"{len(looks)}.jpg", age=-60)
        looks.append(1)
        return look(place)

    monkeypatch.setattr("atoll.image_sets.look", looked)
    assert event_of(ImageSetTrigger(str(folder), PAST, 0.01)).payload == {"images": 3}
    assert len(looks) == 4


def test_the_trigger_gives_up_at_the_deadline(folder: Path) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=0.05)).isoformat()
    assert event_of(ImageSetTrigger(str(folder), soon, 0.01)).payload == {"images": 0}
