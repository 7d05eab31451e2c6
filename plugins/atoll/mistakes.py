"""How a step that runs in Airflow itself tells a mistake, which someone must mend, from a mishap, which may pass."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from jobs.errors import AtollError

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


def mistakes_fail_at_once(step: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
    """Lets a mistake fail the task without retries, in one line; what may pass is left to the retries."""

    @functools.wraps(step)
    def told(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        try:
            return step(*args, **kwargs)
        except AtollError as error:
            raise (AirflowException if error.transient else AirflowFailException)(str(error)) from None

    return told
