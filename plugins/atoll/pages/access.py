"""Who may see and do what: Airflow's own login and permissions, and a guard against forged requests."""

from typing import Annotated
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.configuration import conf
from airflow.models.dag import DagModel
from fastapi import Depends, Form, HTTPException, Request
from itsdangerous import BadSignature, URLSafeTimedSerializer

TUNING, LABELLING, ROLLBACK = "tune_model", "label_images", "roll_back_model"
"""The DAGs whose permissions count: for models and studies, for labelled days, for changing the champion."""

SEES_MODELS = Depends(requires_access_dag("GET", param_dag_id=TUNING))
SEES_LABELS = Depends(requires_access_dag("GET", param_dag_id=LABELLING))
SEES_THE_DAG = Depends(requires_access_dag("GET"))
"""Of the DAG that the path names."""

EDITS = Depends(requires_access_dag("PUT", param_dag_id=ROLLBACK))
STARTS = Depends(requires_access_dag("POST", DagAccessEntity.RUN, param_dag_id=ROLLBACK))

_TOKEN_SECONDS = 12 * 3600
"""A page that was left open over night has to be loaded again."""


def may_see_labels(user: BaseUser) -> bool:
    """Whether a user may see labelled days."""
    return get_auth_manager().is_authorized_dag(method="GET", details=_details(LABELLING), user=user)


def may_roll_back(user: BaseUser) -> bool:
    """Whether a user may change which version is champion: the permission to edit the DAG that does it, and to start it."""
    manager, details = get_auth_manager(), _details(ROLLBACK)
    return manager.is_authorized_dag(method="PUT", details=details, user=user) and manager.is_authorized_dag(
        method="POST", access_entity=DagAccessEntity.RUN, details=details, user=user
    )


def form_token(user: BaseUser) -> str:
    """Signs a token that a form carries, so that only our own pages can send it."""
    return _signer().dumps(str(user.get_id()))


def sent_by_our_page(request: Request, user: GetUserDep, token: Annotated[str, Form()] = "") -> BaseUser:
    """Refuses a form that another site, or another user's page, has sent; gives the user.

    Airflow's cookie is `SameSite=lax`, which browsers keep back from other sites' forms; this does not rely on it.

    Raises:
        HTTPException: 403, saying what to do.
    """
    origin = request.headers.get("origin")
    ours = {request.url.netloc, urlsplit(conf.get("api", "base_url", fallback="")).netloc} - {""}
    if origin is not None and urlsplit(origin).netloc not in ours:
        raise HTTPException(403, "This form was sent from another site. Nothing was changed.")
    try:
        signed_for = _signer().loads(token, max_age=_TOKEN_SECONDS)
    except BadSignature:
        signed_for = None
    if signed_for != str(user.get_id()):
        raise HTTPException(
            403, "This page is too old, or it was opened by another user. Load it again; nothing was changed."
        )
    return user


FormUser = Annotated[BaseUser, Depends(sent_by_our_page)]


def _details(dag: str) -> DagDetails:
    return DagDetails(id=dag, team_name=DagModel.get_team_name(dag))


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(conf.get_mandatory_value("api", "secret_key"), salt="atoll.pages.form")
