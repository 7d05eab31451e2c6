"""Removing what may go, or listing it."""

import contextlib
import logging
import shutil
import uuid
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from jobs.results import CleanedUp
from jobs.retention.rules import Removal, RetentionRule, removable
from jobs.retention.survey import needed, survey
from jobs.workspace import Workspace

log = logging.getLogger("atoll")

_REMOVED = ".removed-"
"""In the hidden name of a folder that is being removed."""

_KINDS = {
    "checkpoints": "checkpoints of trials",
    "study": "studies",
    "dataset": "data sets",
    "run": "results of runs",
    "staged": "days staged but not published",
}


def clean_up(workspace: Workspace, rule: RetentionRule, now: datetime, *, dry_run: bool) -> CleanedUp:
    """Removes what is older than the rule says and that nothing needs; may be repeated, and killed at any moment.

    Args:
        workspace: What to look through.
        rule: For how long things are kept.
        now: With a time zone.
        dry_run: Whether to list only.

    Raises:
        ServiceUnavailableError: MLflow cannot be reached; nothing was removed.
    """
    if not dry_run:
        _finish_earlier(workspace)
    chosen = removable(survey(workspace), needed(workspace), rule, now)
    done: list[Removal] = []
    for removal in chosen:
        where, size = removal.found.path.relative_to(workspace.root), _readable(removal.found.bytes)
        if dry_run:
            log.info("would remove %s (%s): %s", where, size, removal.why)
        elif _remove(removal, workspace):
            log.info("removed %s (%s): %s", where, size, removal.why)
        else:
            log.info("left %s: somebody works on it", where)
            continue
        done.append(removal)
    total = sum(removal.found.bytes for removal in done)
    counts = {kind: sum(removal.found.kind == kind for removal in done) for kind in _KINDS}
    said = ", ".join(f"{count} {_KINDS[kind]}" for kind, count in counts.items() if count) or "nothing"
    log.info("%s %s, %s", "dry run: would remove" if dry_run else "removed", said, _readable(total))
    return CleanedUp(dry_run=dry_run, removed=counts, bytes=total)


def _finish_earlier(workspace: Workspace) -> None:
    """Removes what a run that was killed had renamed already."""
    for depth in ("*", "*/*", "*/*/*"):
        for leftover in workspace.root.glob(f"{depth}/.*{_REMOVED}????????"):
            shutil.rmtree(leftover)


def _remove(removal: Removal, workspace: Workspace) -> bool:
    """Removes one folder, unless somebody is at work on it; renamed first, so that nobody ever sees half of it."""
    path = removal.found.path
    try:
        with FileLock(lock, timeout=0, mode=0o644) if (lock := _lock(removal)) else contextlib.nullcontext():
            if lock and lock.with_suffix(".publish.json").exists():  # decided, but not swapped in yet
                return False
            hidden = path.with_name(f".{path.name.lstrip('.')}{_REMOVED}{uuid.uuid4().hex[:8]}")
            path.rename(hidden)
            shutil.rmtree(hidden)
    except Timeout:
        return False
    with contextlib.suppress(OSError):  # a folder that has become empty, such as that of a DAG without runs
        if path.parent.parent != workspace.root:
            path.parent.rmdir()
    return True


def _lock(removal: Removal) -> Path | None:
    """Gives the lock of whoever may be at work on it, if there can be anyone."""
    path = removal.found.path
    if removal.found.kind == "study":
        return path / ".lock"
    if removal.found.kind == "checkpoints":
        return path.parent / ".lock"
    if removal.found.kind == "staged":
        day = path.name.split(".staged-")[0]
        return path.parents[2] / "labels" / path.parent.name / f"{day}.lock"
    return None


def _readable(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
