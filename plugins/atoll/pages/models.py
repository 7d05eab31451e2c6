"""Pages of the registry: every model with its champion and its versions, and one version with where it comes from."""

from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import RedirectResponse, Response

from atoll.links import mlflow_url
from atoll.pages import access, rollback
from atoll.pages.rendering import Links, page
from jobs.datasets.dataset import Dataset, open_dataset
from jobs.errors import AtollError
from jobs.labelling.reading import image_sets
from jobs.labelling.trends import DayFigures, day_figures
from jobs.registry.catalogue import RegisteredVersion, registered_model, registered_models
from jobs.registry.champions import champion_history
from jobs.workspace import Workspace

router = APIRouter(dependencies=[access.SEES_MODELS])

_DAYS_SEARCHED = 60
"""Newest days of each image set that are searched for a version's labels."""

_FOLLOWED = 2.0
"""Seconds after which the page of a rollback is asked for anew."""

VersionNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("/", name="models")
def show_models(request: Request) -> Response:
    """Every model, its champion first."""
    return page(request, "models.html", title="Models", models=registered_models(Workspace.open()))


@router.get("/models/{name}", name="model")
def show_model(request: Request, name: str, user: GetUserDep, run: str = "") -> Response:
    """One model: its champion, how that changed, and every version that could be; `run` is a rollback to follow."""
    workspace = Workspace.open()
    model = registered_model(name, workspace)
    started = rollback.started(run, name) if run else None
    return page(
        request,
        "model.html",
        title=name,
        model=model,
        history=champion_history(name, workspace)[::-1],
        may_roll_back=access.may_roll_back(user),
        token=access.form_token(user),
        started=started,
        live=_FOLLOWED if started is not None and started.waits else None,
    )


@router.post("/models/{name}/rollback", name="rollback", dependencies=[access.EDITS, access.STARTS])
def roll_back(
    request: Request,
    name: str,
    user: access.FormUser,
    version: Annotated[int, Form(ge=1, le=2**31 - 1)],
    why: Annotated[str, Form(min_length=3, max_length=500)],
) -> Response:
    """Starts the DAG that makes a version champion, and shows the model again."""
    registered_model(name, Workspace.open()).version(version)
    run = rollback.start(user, name, version, " ".join(why.split()))
    return RedirectResponse(Links(request)("model", {"run": run}, name=name), 303)


@router.get("/models/{name}/versions/{version}", name="version")
def show_version(request: Request, name: str, version: VersionNumber, user: GetUserDep) -> Response:
    """One version: what it was made of, how it did, and what it has labelled."""
    workspace = Workspace.open()
    found = registered_model(name, workspace).version(version)
    mlflow = mlflow_url()
    return page(
        request,
        "version.html",
        title=f"{name} version {version}",
        version=found,
        reigns=[change for change in champion_history(name, workspace)[::-1] if change.version == version],
        dataset=_dataset(found, workspace),
        study_here=(workspace.study(found.study) / "leaderboard.json").exists() if found.study else False,
        mlflow=f"{mlflow}/#/models/{name}/versions/{version}" if mlflow else "",
        days=_labelled_by(found, workspace, user),
    )


def _dataset(version: RegisteredVersion, workspace: Workspace) -> Dataset | None:
    """Gives the manifest of a version's data set, if it is still there."""
    try:
        return open_dataset(workspace.dataset(version.name, version.dataset_fingerprint))
    except AtollError:
        return None


def _labelled_by(version: RegisteredVersion, workspace: Workspace, user: BaseUser) -> dict[str, list[DayFigures]]:
    """Gives the days that carry labels of a version, by image set, for those who may see labelled days."""
    if not access.may_see_labels(user):
        return {}
    found = {
        image_set: [
            day
            for day in day_figures(workspace, image_set, days[:_DAYS_SEARCHED])
            if any((stamp.name, stamp.version) == (version.name, version.version) for stamp in day.models)
        ]
        for image_set, days in image_sets(workspace).items()
    }
    return {image_set: days for image_set, days in found.items() if days}
