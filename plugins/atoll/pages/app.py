"""The application of the pages: routes, static files, and what every answer carries."""

import threading
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as StarletteHTTPException

from atoll.pages import days, models, runs, studies
from atoll.pages.rendering import page
from jobs.errors import AtollError, InvalidArgumentError, InvalidImageSetError, InvalidStudyError, ModelNotFoundError

_NOT_FOUND = (InvalidArgumentError, InvalidImageSetError, InvalidStudyError, ModelNotFoundError)

_HEADERS = {
    # Nothing from elsewhere, nothing inline: what an image set or a study holds can never run as a script.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}

application = FastAPI(
    title="Atoll's pages", dependencies=[Depends(get_user)], docs_url=None, redoc_url=None, openapi_url=None
)
for part in (models, studies, days, runs):
    application.include_router(part.router)
application.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")


@application.middleware("http")
async def add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Adds the headers that keep browsers strict; pages are always asked for anew, thumbnails and static files are not."""
    answer = await call_next(request)
    for name, value in _HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers.setdefault("Cache-Control", "private, no-cache")
    return answer


@application.exception_handler(StarletteHTTPException)
def show_refusal(request: Request, error: StarletteHTTPException) -> Response:
    """Sends a person without a login to Airflow's, and back afterwards; tells everyone else in one line."""
    html = "text/html" in request.headers.get("accept", "")
    if not html:
        return PlainTextResponse(str(error.detail), error.status_code, headers=getattr(error, "headers", None))
    if error.status_code == 401 and request.method == "GET":
        return RedirectResponse(get_auth_manager().get_url_login(next_url=str(request.url)), 302)
    titles = {403: "Not allowed", 404: "Not found"}
    shown = {"title": titles.get(error.status_code, "Not possible"), "message": str(error.detail)}
    return page(request, "error.html", status=error.status_code, **shown)


@application.exception_handler(RequestValidationError)
def show_invalid(request: Request, error: RequestValidationError) -> Response:
    """Names the part of the address or of the form that cannot be taken, and says why."""
    problems = "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in error.errors())
    return show_refusal(request, HTTPException(422, f"{problems}."))


@application.exception_handler(AtollError)
def show_mistake(request: Request, error: AtollError) -> Response:
    """Shows the one line in which a job's code says what is wrong."""
    status = 404 if isinstance(error, _NOT_FOUND) else 503 if error.transient else 500
    return show_refusal(request, HTTPException(status, str(error)))


def _warm_up() -> None:
    """Imports what takes seconds, while the browser still draws Airflow's own page: its icon is the first request."""
    for name in ("mlflow", "optuna", "pyarrow.compute"):
        import_module(name)


threading.Thread(target=_warm_up, name="atoll-pages-warm-up", daemon=True).start()
