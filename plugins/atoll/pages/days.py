"""Pages of labelled days: which there are, the gallery and the quarantine of one, and one image."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response
from pydantic import BeforeValidator, FiniteFloat

from atoll.pages import access, trend_charts
from atoll.pages.rendering import Links, page
from atoll.pages.thumbnails import SIZES, NoThumbnailError, thumbnail
from jobs.errors import InvalidImageSetError
from jobs.labelling.arrival import is_there
from jobs.labelling.comparison import Comparison, Shown
from jobs.labelling.reading import Order, Wanted, day_stamp, image_sets, read_day, read_quarantine
from jobs.labelling.trends import day_figures
from jobs.object_place import Place
from jobs.workspace import Workspace

router = APIRouter(prefix="/days", dependencies=[access.SEES_LABELS])

PER_PAGE = 60
_DAYS_LISTED = 60

_drawing = CapacityLimiter(4)
"""Threads that draw thumbnails. Airflow's server has 40 for all its answers: a gallery of huge images must not hold them."""

# A field of a form that is left empty comes as an empty text.
Score = Annotated[FiniteFloat | None, BeforeValidator(lambda value: None if value == "" else value)]
PageNumber = Annotated[int, Query(ge=1, le=1_000_000, alias="page")]


@router.get("", name="days")
def show_days(request: Request) -> Response:
    """The labelled days of every image set, the newest first."""
    return page(request, "days.html", title="Labelled days", image_sets=image_sets(Workspace.open()))


@router.get("/{image_set}", name="image_set")
def show_image_set(request: Request, image_set: str) -> Response:
    """How an image set changes from day to day."""
    workspace = Workspace.open()
    known = image_sets(workspace).get(image_set)
    if not known:
        raise InvalidImageSetError(f"{image_set}: not labelled; accepted: one that label_images has published")
    days = day_figures(workspace, image_set, sorted(known[:_DAYS_LISTED]))
    link = Links(request)

    def address(day: date) -> str:
        return link("day", image_set=image_set, day=day)

    charts = [trend_charts.images(days, address)]
    if any(day.labelled for day in days):
        charts += [trend_charts.certainty(days, address), trend_charts.shares(days, address)]
    more = len(known) - len(days)
    return page(request, "image_set.html", title=image_set, image_set=image_set, days=days, more=more, charts=charts)


@router.get("/{image_set}/{day}", name="day")
def show_day(
    request: Request,
    image_set: str,
    day: date,
    label: str = "",
    lowest: Score = None,
    highest: Score = None,
    text: str = "",
    order: Order = "least",
    number: PageNumber = 1,
) -> Response:
    """The gallery of a day: images with label and score, filtered and in pages."""
    workspace = Workspace.open()
    labelled = read_day(workspace, image_set, day)
    wanted = Wanted(label or None, lowest, highest, text.strip(), order)
    rows = labelled.select(wanted)
    part = _part(rows.num_rows, number)
    return page(
        request,
        "day.html",
        title=f"{image_set} {day}",
        image_set=image_set,
        day=day,
        labelled=labelled,
        quarantined=read_quarantine(workspace, image_set, day).num_rows,
        wanted=wanted,
        found=rows.num_rows,
        rows=labelled.rows(rows.slice(part.first, PER_PAGE)),
        number=part.number,
        pages=part.pages,
        others=_beside(workspace, image_set, day),
        stamp=day_stamp(workspace, image_set, day),
    )


@router.get("/{image_set}/{day}/comparison/{other}", name="comparison")
def show_comparison(
    request: Request,
    image_set: str,
    day: date,
    other: str,
    label: str = "",
    other_label: str = "",
    shown: Shown = "differ",
    number: PageNumber = 1,
) -> Response:
    """Two labellings of the same day, side by side; where they disagree first."""
    workspace = Workspace.open()
    one, beside = read_day(workspace, image_set, day), read_day(workspace, other, day)
    compared = Comparison(one, beside)
    rows = compared.select(shown, label or None, other_label or None)
    part = _part(rows.num_rows, number)
    return page(
        request,
        "comparison.html",
        title=f"{image_set} {day}: two models",
        image_set=image_set,
        other=other,
        day=day,
        quarantined=read_quarantine(workspace, image_set, day).num_rows,
        labelled=one,
        beside=beside,
        others=_beside(workspace, image_set, day),
        compared=compared,
        label=label,
        other_label=other_label,
        shown=shown,
        found=rows.num_rows,
        rows=compared.rows(rows.slice(part.first, PER_PAGE)),
        number=part.number,
        pages=part.pages,
        stamp=day_stamp(workspace, image_set, day),
    )


@router.get("/{image_set}/{day}/quarantine", name="quarantine")
def show_quarantine(request: Request, image_set: str, day: date, reason: str = "", number: PageNumber = 1) -> Response:
    """The images of a day that could not be labelled, each with its reason."""
    workspace = Workspace.open()
    every = read_quarantine(workspace, image_set, day)
    reasons: dict[str, int] = {}
    for one in every["reason"].to_pylist():
        reasons[one] = reasons.get(one, 0) + 1
    rows = [row for row in every.to_pylist() if reason in ("", row["reason"])]
    part = _part(len(rows), number)
    return page(
        request,
        "quarantine.html",
        title=f"Quarantine of {image_set} {day}",
        image_set=image_set,
        day=day,
        labelled=len(read_day(workspace, image_set, day)),
        others=_beside(workspace, image_set, day),
        quarantined=every.num_rows,
        reasons=reasons,
        reason=reason,
        rows=rows[part.first : part.first + PER_PAGE],
        number=part.number,
        pages=part.pages,
    )


@router.get("/{image_set}/{day}/image", name="image")
def show_image(request: Request, image_set: str, day: date, name: str) -> Response:
    """One image: its best labels, and the model that gave them."""
    workspace = Workspace.open()
    row = read_day(workspace, image_set, day).find(name)
    if row is None:
        raise InvalidImageSetError(
            f"{image_set} {day}: no labelled image {name!r}; accepted: one that its gallery shows"
        )
    labels_stamp = day_stamp(workspace, image_set, day)
    return page(request, "image.html", title=name, image_set=image_set, day=day, row=row, stamp=labels_stamp)


@router.get("/{image_set}/{day}/thumbnail", name="thumbnail")
async def give_thumbnail(image_set: str, day: date, name: str, size: int = SIZES[0]) -> Response:
    """A small picture of one labelled image; nothing else can be had here."""
    return await run_sync(_thumbnail, image_set, day, name, size, limiter=_drawing)


def _thumbnail(image_set: str, day: date, name: str, size: int) -> Response:
    workspace = Workspace.open()
    if size not in SIZES:
        raise HTTPException(404, f"size: {size}; accepted: {', '.join(map(str, SIZES))}")
    if not read_day(workspace, image_set, day).holds(name):
        raise HTTPException(404, f"{image_set} {day}: no labelled image {name!r}")
    try:
        content, media_type = thumbnail(_pictures(workspace, image_set, day), name, size)
    except NoThumbnailError as error:
        raise HTTPException(404, f"{name}: {error}") from None
    # Its address changes when the day is labelled anew.
    return Response(content, media_type=media_type, headers={"Cache-Control": "private, max-age=86400"})


@dataclass(frozen=True)
class _Part:
    """One page of many rows.

    Attributes:
        number: Which, from 1.
        pages: How many there are.
        first: Position of its first row.
    """

    number: int
    pages: int
    first: int


def _part(rows: int, asked: int) -> _Part:
    """Gives the page that is asked for, or the last."""
    pages = max(1, -(-rows // PER_PAGE))
    number = min(asked, pages)
    return _Part(number, pages, (number - 1) * PER_PAGE)


def _pictures(workspace: Workspace, image_set: str, day: date) -> Place:
    """Gives the folder of the images of a day; a sample or a variant has none of its own, and has those of its image set."""
    names = [image_set]
    while "-" in names[-1]:
        names.append(names[-1].rpartition("-")[0])
    folders = [workspace.image_set(name, day) for name in names if name]
    return next((folder for folder in folders if is_there(folder)), folders[0])


def _beside(workspace: Workspace, image_set: str, day: date) -> list[str]:
    """Names the other labellings of the same images: variants and samples of an image set, and the image set itself."""
    known = [name for name, days in image_sets(workspace).items() if day in days and name != image_set]
    return [name for name in known if name.startswith(f"{image_set}-") or image_set.startswith(f"{name}-")]
