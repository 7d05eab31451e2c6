"""What runs in Airflow itself tells mistakes as the jobs do, and understands announced image sets."""

import inspect
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from atoll.assets import announced_image_set
from atoll.mistakes import mistakes_fail_at_once

from jobs.errors import AlreadyRunningError, AtollError, ModelNotFoundError


@pytest.mark.parametrize(("error", "at_once"), [(ModelNotFoundError, True), (AlreadyRunningError, False)])
def test_a_mistake_fails_at_once_and_what_may_pass_is_left_to_the_retries(
    error: type[AtollError], at_once: bool
) -> None:
    @mistakes_fail_at_once
    def step(*, params: dict[str, Any]) -> None:
        raise error("model 'x': no such model")

    with pytest.raises(AirflowException, match=r"^model 'x': no such model$") as raised:
        step(params={})
    assert isinstance(raised.value, AirflowFailException) is at_once
    assert list(inspect.signature(step).parameters) == ["params"], "Airflow passes the context by the names it sees"


PHOTOS = {"day": "2026-03-01", "image_set": "photos"}


def event(extra: dict[str, Any], hour: int) -> SimpleNamespace:
    return SimpleNamespace(extra=extra, timestamp=datetime(2026, 3, 1, hour, tzinfo=UTC))


@pytest.mark.parametrize(
    ("events", "announced"),
    [
        (None, {}),
        ({"a": []}, {}),
        ({"a": [event({"day": "2026-03-01", "image_set": "photos", "by": "me"}, 1)]}, PHOTOS),
        ({"a": [event({"day": "2026-03-02"}, 2), event({"day": "2026-03-01"}, 1)]}, {"day": "2026-03-02"}),
        ({"a": [event({}, 2), event({"day": "2026-03-01"}, 1)]}, {"day": "2026-03-01"}),
    ],
    ids=["by hand", "no event", "all named", "the latest counts", "without extra"],
)  # fmt: skip
def test_an_announced_image_set_names_its_day(events: Any, announced: dict[str, str]) -> None:
    assert announced_image_set(events) == announced
