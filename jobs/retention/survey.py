"""What is in a workspace, and what the registry needs of it."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from jobs.errors import InvalidStudyError
from jobs.registry.mlflow_client import open_client
from jobs.registry.tracking import DATASET_TAG, STUDY_TAG
from jobs.retention.rules import Found, Kind, Needed
from jobs.tuning.leaderboard import read_leaderboard
from jobs.workspace import Workspace

_PAGE = 1000


def survey(workspace: Workspace) -> list[Found]:
    """Lists what retention knows of; what is hidden, such as a folder that is being written, is left out."""
    return [
        *_studies(workspace.root / "studies"),
        *(_found("dataset", path) for path in _folders(workspace.root / "datasets", 2)),
        *(_found("run", path) for path in _folders(workspace.root / "runs", 2)),
        *(
            _found("staged", path)
            for place in ("labels", "quarantine")
            for path in sorted((workspace.root / place).glob("*/.ds=*.staged-*"))
        ),
    ]


def needed(workspace: Workspace) -> Needed:
    """Reads from the registry what its versions need.

    Raises:
        ServiceUnavailableError: MLflow cannot be reached: then nothing may be removed.
    """
    client = open_client(workspace)
    studies, datasets = set(), set()
    token = None
    while True:
        page = client.search_model_versions(max_results=_PAGE, page_token=token)
        for version in page:
            studies.add(version.tags.get(STUDY_TAG, ""))
            datasets.add(version.tags.get(DATASET_TAG, ""))
        token = page.token
        if not token:
            return Needed(frozenset(studies), frozenset(datasets))


def _studies(folder: Path) -> Iterator[Found]:
    for path in _folders(folder, 1):
        try:
            dataset = read_leaderboard(path).dataset_fingerprint
        except InvalidStudyError:  # one that was stopped before its first trial
            dataset = None
        yield replace(_found("study", path), dataset=dataset, selected=(path / "model").is_dir())
        if (path / "trials").is_dir():
            yield _found("checkpoints", path / "trials", name=path.name)


def _folders(folder: Path, depth: int) -> list[Path]:
    found = [path for path in folder.glob("/".join("*" * depth)) if path.is_dir() and not path.is_symlink()]
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _found(kind: Kind, path: Path, name: str | None = None) -> Found:
    newest, size = _measured(path)
    return Found(kind, path, name or path.name, datetime.fromtimestamp(newest, UTC), size)


def _measured(folder: Path) -> tuple[float, int]:
    """Gives when anything in a folder was changed last, in seconds since 1970, and its bytes."""
    newest, size = folder.stat().st_mtime, 0
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place) / name
            if name == ".lock" or not file.exists():  # a lock that was only looked at is no change
                continue
            status = file.stat()
            newest, size = max(newest, status.st_mtime), size + status.st_size
    return newest, size
