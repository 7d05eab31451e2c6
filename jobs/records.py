"""Records that outlive the Atoll that wrote them: telling what one version cannot read of another's."""

from pydantic import ValidationError

_OF_ANOTHER_VERSION = {
    "extra_forbidden": "unknown here, as where a later Atoll wrote it",
    "missing": "missing, as where an earlier Atoll wrote it",
}
"""By pydantic's name of the mistake."""


def mistake_in(error: ValidationError) -> str:
    """Tells the first thing that is wrong with a record, as `trials.0.cost: unknown here, as where a later Atoll wrote it`."""
    detail = error.errors()[0]
    field = ".".join(map(str, detail["loc"]))
    what = _OF_ANOTHER_VERSION.get(detail["type"], detail["msg"])
    return f"{field}: {what}" if field else what
