#!/usr/bin/env python3
"""Asks OSV (https://osv.dev) for known vulnerabilities of every package in the locks: `make audit`.

Exit status: 0, none is known; 1, some are, each on a line; 3, the question could not be asked or was not answered in full, so
nothing is known. It needs Python's own library alone, so that no package judges itself.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

REPOSITORY = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.txt", "requirements-dev.txt")
SERVICE = "https://api.osv.dev"
VULNERABLE, UNKNOWN = 1, 3

_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
_AT_ONCE = 500
"""Packages in one question; the service takes 1,000."""

_MOST_PAGES = 100
_PATIENCE = 30.0
"""Seconds that the service has for one answer."""

Package = tuple[str, str]


class UnansweredError(Exception):
    """The service cannot be reached, or does not answer as it should."""


def main() -> int:
    """Prints what is known of the packages and gives the exit status."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("locks", nargs="*", type=Path, default=[REPOSITORY / name for name in LOCKS])
    arguments.add_argument("--service", default=os.environ.get("ATOLL_OSV_URL") or SERVICE, help="another OSV service")
    options = arguments.parse_args()
    packages: list[Package] = []
    try:
        packages = sorted({package for lock in options.locks for package in pinned(_text(lock))})
        if not packages:
            raise UnansweredError("no lock pins a package")
        known = {package: found for package, found in advisories(packages, options.service) if found}
        for (name, version), found in known.items():
            for identifier in found:
                print(f"{name} {version}: {identifier}: {described(identifier, options.service)}")
    except UnansweredError as error:
        print(f"not audited: {error}; nothing is known of {len(packages)} packages", file=sys.stderr)
        return UNKNOWN
    print(f"{len(known)} of {len(packages)} packages have known vulnerabilities, says {options.service}")
    return VULNERABLE if known else 0


def pinned(lock: str) -> list[Package]:
    """Gives name and version of each package that a lock pins."""
    return _PINNED.findall(lock)


def advisories(packages: list[Package], service: str) -> Iterator[tuple[Package, list[str]]]:
    """Gives the identifiers of the advisories of each package.

    Raises:
        UnansweredError: The service does not say it of every package.
    """
    for start in range(0, len(packages), _AT_ONCE):
        part = packages[start : start + _AT_ONCE]
        yield from zip(part, _answers([_question(package) for package in part], service), strict=True)


def described(identifier: str, service: str) -> str:
    """Gives an advisory's summary and the versions that mend it, in one line."""
    answer = _ask(f"{service}/v1/vulns/{identifier}")
    spans = [span for one in answer.get("affected", []) for span in one.get("ranges", []) if span.get("type") != "GIT"]
    mended = sorted({event["fixed"] for span in spans for event in span.get("events", []) if "fixed" in event})
    summary = " ".join(str(answer.get("summary") or answer.get("details") or "no summary").split())[:200]
    return f"{summary}; mended in {', '.join(mended) or 'no version yet'}"


def _text(lock: Path) -> str:
    try:
        return lock.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UnansweredError(f"{lock}: {error}") from None


def _question(package: Package) -> dict[str, Any]:
    name, version = package
    return {"package": {"ecosystem": "PyPI", "name": name}, "version": version}


def _answers(questions: list[dict[str, Any]], service: str) -> list[list[str]]:
    found: list[list[str]] = [[] for _ in questions]
    asked = dict(enumerate(questions))
    for _ in range(_MOST_PAGES):
        results = _ask(f"{service}/v1/querybatch", {"queries": list(asked.values())}).get("results")
        if not isinstance(results, list) or len(results) != len(asked):
            raise UnansweredError(f"{service} did not answer for each package")
        more = {}
        for place, result in zip(asked, results, strict=True):
            try:
                found[place] += [str(one["id"]) for one in result.get("vulns", [])]
                token = result.get("next_page_token")
            except (AttributeError, KeyError, TypeError):
                raise UnansweredError(f"{service} answers in words of another kind") from None
            if token:
                more[place] = questions[place] | {"page_token": token}
        if not more:
            return found
        asked = more
    raise UnansweredError(f"{service} never came to an end")


def _ask(address: str, question: dict[str, Any] | None = None) -> dict[str, Any]:
    content = None if question is None else json.dumps(question).encode()
    request = Request(address, content, {"Content-Type": "application/json", "User-Agent": "atoll-audit"})
    try:
        with urlopen(request, timeout=_PATIENCE) as answer:
            read = json.load(answer)
    except (URLError, OSError, ValueError) as error:
        raise UnansweredError(f"{address}: {getattr(error, 'reason', None) or error}") from None
    if not isinstance(read, dict):
        raise UnansweredError(f"{address}: no JSON object")
    return read


if __name__ == "__main__":
    sys.exit(main())
