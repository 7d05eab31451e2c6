"""Turning what the routes have found into HTML."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from jobs.tuning.progress import duration, short
from jobs.tuning.trial import TrialOutcome

_HERE = Path(__file__).parent
_DASH = "\u2013"

_SECTIONS = (("models", "Models"), ("studies", "Studies"), ("days", "Labelled days"))
"""The entries at the top of each page: name of the route, and what it is called."""


def page(request: Request, template: str, status: int = 200, **shown: Any) -> HTMLResponse:
    """Renders a template.

    Args:
        request: What is answered.
        template: File in `templates/`.
        status: HTTP status.
        shown: What the template names.
    """
    link = Links(request)
    content = _ENVIRONMENT.get_template(template).render(
        link=link, sections=_SECTIONS, path=request.url.path, now=datetime.now(UTC), **shown
    )
    return HTMLResponse(content, status)


class Links:
    """Gives the path of a page of ours, wherever Airflow is mounted."""

    def __init__(self, request: Request) -> None:
        self._root = request.scope.get("root_path", "")
        self._application = request.scope["app"]

    def __call__(self, route: str, query: Mapping[str, Any] | None = None, /, **parts: Any) -> str:
        """Gives the path of a route.

        Args:
            route: Name of the route.
            query: What follows the question mark; entries that are None or empty are left out.
            parts: The parts of the path.
        """
        path = self._application.url_path_for(route, **{name: str(value) for name, value in parts.items()})
        given = {name: value for name, value in (query or {}).items() if value not in (None, "")}
        return f"{self._root}{path}" + (f"?{urlencode(given)}" if given else "")

    def airflow(self, *parts: str) -> str:
        """Gives the path of one of Airflow's own pages."""
        root = self._root.rpartition("/")[0]
        return root + "".join(f"/{quote(part, safe='')}" for part in parts)

    def static(self, name: str) -> str:
        """Gives the path of a static file; it changes with the file, so that browsers may keep it."""
        return f"{self._root}/static/{name}?{(_HERE / 'static' / name).stat().st_mtime_ns:x}"


def number(value: float) -> str:
    """Writes a whole number with thousands apart."""
    return f"{value:,.0f}".replace(",", "\u202f")


def percent(share: float | None, digits: int = 2) -> str:
    """Writes a share of 1 as a percentage; a dash for None."""
    return _DASH if share is None else f"{100 * share:.{digits}f} %"


def p_value(value: float | None) -> str:
    """Writes a p-value; a dash for None."""
    return _DASH if value is None else f"{value:.3g}"


def sentence(text: str) -> str:
    """Begins with a capital and ends with a full stop."""
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?")) else ".")


def moment(value: datetime | float | None) -> str:
    """Writes a moment to the minute, in UTC."""
    if value is None:
        return _DASH
    at = datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else value.astimezone(UTC)
    return f"{at:%Y-%m-%d %H:%M}"


def weekday(value: date) -> str:
    """Names the day of the week in three letters."""
    return f"{value:%a}"


def words(name: str) -> str:
    """Turns a field's name into words."""
    return name.replace("_", " ")


def score(value: float | None) -> str:
    """Writes a score: a share of 1 as a percentage, anything else as the number that it is; a dash for None."""
    if value is None:
        return _DASH
    return percent(value, 1) if 0 <= value <= 1 else f"{value:.4g}"


def error_of(trial: TrialOutcome | None) -> float | None:
    """Gives the validation error of a trial as a share of 1; None without a score."""
    return None if trial is None or trial.validation_accuracy is None else 1 - trial.validation_accuracy


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "number": number,
    "percent": percent,
    "p_value": p_value,
    "sentence": sentence,
    "moment": moment,
    "weekday": weekday,
    "words": words,
    "score": score,
    "error_of": error_of,
    "duration": duration,
    "value": short,
}
