"""Writing what comes from outside so that a line, a file or a terminal can hold it, and so that it gives nothing away."""

import re

_CREDENTIALS = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/?#]*@", re.IGNORECASE)
_IN_A_MESSAGE = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s'\"]*@", re.IGNORECASE)


def without_credentials(location: str) -> str:
    """Writes a URL without the name and the password in it; a path stays as it is."""
    return _CREDENTIALS.sub(r"\1", location)


def redacted(message: str) -> str:
    """Writes the message of a library without the names and passwords of the URLs that it repeats.

    A password may hold characters that no URL may, such as `/` or `#`, and be what the message is about; so everything up to
    the last `@` is left out.
    """
    return _IN_A_MESSAGE.sub(r"\1***@", message)


def printable(name: str) -> str:
    """Writes a name so that every file and terminal can hold it: what is no character becomes an escape."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
