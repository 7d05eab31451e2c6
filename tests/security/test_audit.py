"""`make audit` asks about every package that a lock pins, and takes silence for an error."""

import re
import subprocess
import sys
from pathlib import Path

from jobs.workspace import REPOSITORY

LOCKS = ("requirements.txt", "requirements-dev.txt")


def audit(*options: str) -> "subprocess.CompletedProcess[str]":
    command = ["make", "--silent", "audit", f"VENV={Path(sys.prefix)}", f"DEV={REPOSITORY / 'Makefile'}"]
    return subprocess.run(
        [*command, f"AUDIT={' '.join(options)}"],
        cwd=REPOSITORY,
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )


def test_every_locked_package_is_asked_about() -> None:
    pinned = {
        found
        for lock in LOCKS
        for found in re.findall(
            r"^([A-Za-z0-9._-]+)(?:\[.*\])?==([^\s;\\]+) *(;.*)?", (REPOSITORY / lock).read_text(), re.M
        )
    }
    everywhere = {(name, version) for name, version, marker in pinned if not marker}
    asked = audit("--dry-run")
    assert asked.returncode == 0, asked.stderr
    told = re.search(r"would have audited (\d+) packages", asked.stderr + asked.stdout)
    assert told
    assert len(everywhere) <= int(told[1]) <= len(pinned)


def test_silence_is_an_error() -> None:
    unasked = audit("--osv-url", "http://127.0.0.1:9/v1/query")
    assert unasked.returncode != 0
    assert "127.0.0.1" in unasked.stderr
