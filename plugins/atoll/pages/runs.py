"""What Airflow's own pages of a DAG and of a run lead to: the models, the study or the day that they are about."""

from datetime import date

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from atoll.pages import access
from atoll.pages.rendering import Links, page
from jobs.errors import AtollError
from jobs.labelling.row_files import published_rows
from jobs.object_place import place_of
from jobs.results import LabelledImageSet
from jobs.workspace import Workspace, file_name

router = APIRouter(prefix="/dags/{dag_id}", dependencies=[access.SEES_THE_DAG])

_FOLLOWED = 5.0


@router.get("", name="dag")
def show_dag(request: Request, dag_id: str) -> Response:
    """The labelled days for the DAG that labels, the studies for the one that tunes, the models for every other."""
    route = {access.LABELLING: "days", access.TUNING: "studies"}.get(dag_id, "models")
    return RedirectResponse(Links(request)(route), 302)


@router.get("/runs/{run_id:path}", name="run")
def show_run(request: Request, dag_id: str, run_id: str) -> Response:
    """The study that a run tunes, or the day that it has labelled."""
    workspace, link = Workspace.open(), Links(request)
    if dag_id == access.TUNING:
        if study := _study(workspace, run_id):
            return RedirectResponse(link("study", study=study), 302)
        return _nothing_yet(
            request, "This run has no study yet", "It appears with the first trial of its task tune_model."
        )
    if dag_id == access.LABELLING:
        if day := _day(workspace, run_id):
            return RedirectResponse(link("day", image_set=day[0], day=day[1]), 302)
        return _nothing_yet(request, "This run has labelled nothing yet", "Its day appears when it is published.")
    return RedirectResponse(link("models"), 302)


def _nothing_yet(request: Request, title: str, message: str) -> Response:
    return page(request, "error.html", title=title, message=message, live=_FOLLOWED)


def _study(workspace: Workspace, run_id: str) -> str | None:
    """Gives the name of a run's study, which is known before its task has ended: experiment, then run."""
    ending = f"-{file_name(run_id)}"
    found = (path.parent.name for path in (workspace.root / "studies").glob("*/leaderboard.json"))
    return next((name for name in found if name.endswith(ending)), None)


def _day(workspace: Workspace, run_id: str) -> tuple[str, str] | None:
    """Gives image set and day of what a run has published."""
    try:
        result = (workspace.run(access.LABELLING, run_id, "label_images") / "result.json").read_text()
        place = place_of(LabelledImageSet.model_validate_json(result).labels)
        image_set, day = place.parent.name, date.fromisoformat(place.name.removeprefix("ds="))
        published_rows(workspace, "labels", image_set, day)
    except (OSError, ValueError, AtollError):
        return None
    return image_set, day.isoformat()
