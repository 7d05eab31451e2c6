"""The rollback button: it starts the DAG that does it, as the person who pressed it, and tells how that goes."""

from dataclasses import dataclass

from airflow.api.common.trigger_dag import trigger_dag
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.exceptions import AirflowException, DagNotFound, ParamValidationError
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType
from fastapi import HTTPException
from sqlalchemy import select

from atoll.pages.access import ROLLBACK


@dataclass(frozen=True)
class StartedRollback:
    """A run of `roll_back_model`.

    Attributes:
        run: Its identifier.
        state: Such as `queued`, `running`, `success`, `failed`.
        version: The version that it makes champion; None where it was started without one.
        paused: Whether the DAG is paused, so that the run waits.
    """

    run: str
    state: str
    version: int | None
    paused: bool

    @property
    def waits(self) -> bool:
        """Whether it has yet to end."""
        return self.state in ("queued", "running")


def start(user: BaseUser, model: str, version: int, why: str) -> str:
    """Starts a rollback and gives the identifier of its run.

    Raises:
        HTTPException: Airflow does not take it: 404 without the DAG, 400 with what is wrong.
    """
    try:
        run = trigger_dag(
            ROLLBACK,
            triggered_by=DagRunTriggeredByType.UI,
            triggering_user_name=user.get_name(),
            conf={"model": model, "version": version, "why": why},
        )
    except DagNotFound:
        raise HTTPException(404, f"Airflow does not know the DAG {ROLLBACK}; has its file been parsed yet?") from None
    except (ParamValidationError, AirflowException, ValueError) as error:
        raise HTTPException(400, f"{ROLLBACK} was not started. {error}") from None
    if run is None:
        raise HTTPException(400, f"{ROLLBACK} was not started.")
    return str(run.run_id)


def started(run_id: str, model: str) -> StartedRollback | None:
    """Tells how a rollback of a model goes; None when there is no such run."""
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == ROLLBACK, DagRun.run_id == run_id))
        if run is None or not run.conf or run.conf.get("model") != model:
            return None
        paused = session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == ROLLBACK))
        return StartedRollback(run.run_id, str(run.state), run.conf.get("version"), bool(paused))
