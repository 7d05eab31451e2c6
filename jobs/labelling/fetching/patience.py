"""When to ask a server again, and how long to wait before."""

import email.utils
from datetime import UTC, datetime

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 8.0

_WORTH_ASKING_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


def worth_asking_again(status: int) -> bool:
    """Says whether an answer may be another a little later: too many requests, a time-out, trouble of the server."""
    return status in _WORTH_ASKING_AGAIN


def backoff(attempt: int, chance: float) -> float:
    """Gives the seconds to wait: twice as long each time, by chance between half and all of it.

    The jitter keeps the many clients of one server from coming back together (M. Brooker, "Exponential Backoff And
    Jitter", AWS Architecture Blog, 2015).

    Args:
        attempt: How often the server was asked, from 1.
        chance: From 0 to 1, drawn at random.
    """
    return min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (attempt - 1)) * (0.5 + chance / 2)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Reads the seconds that a server asks to wait (RFC 9110, section 10.2.3: seconds or a date); None where it does not.

    Args:
        value: The header `Retry-After`.
        now: The time of day, with its zone.
    """
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
