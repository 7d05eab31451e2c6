"""Where the frozen graph and its labels come from: two files, or the registry."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import InvalidArgumentError, InvalidGraphError
from jobs.labelling.partition import BroadcastModel
from jobs.labelling.schema import ModelStamp
from jobs.workspace import Workspace


@dataclass(frozen=True)
class GraphOnDisk:
    """A frozen graph that the user gives as two files: the GraphDef, and its labels, one per line."""

    graph: Path
    labels: Path

    def load(self) -> BroadcastModel:
        """Reads both files; the model is named after the graph's file.

        Raises:
            InvalidArgumentError: A file cannot be read, or the labels are not text.
            InvalidGraphError: The graph's file is empty.
        """
        content = _read(self.graph, "--graph")
        if not content:
            raise InvalidGraphError(f"{self.graph}: zero bytes; accepted: a binary GraphDef")
        stamp = ModelStamp(self.graph.stem, None, hashlib.sha256(content).hexdigest())
        return BroadcastModel(stamp, content, _read_labels(self.labels))


@dataclass(frozen=True)
class RegisteredGraph:
    """A version of a model in the registry; None stands for the champion."""

    name: str
    version: int | None
    workspace: Workspace

    def load(self) -> BroadcastModel:
        """Fetches graph and labels from the registry, which checks the graph's hash.

        Raises:
            ModelNotFoundError: There is no such model or version.
        """
        from jobs.registry.versions import download_graph, find_version

        version = find_version(self.name, self.version, self.workspace)
        with tempfile.TemporaryDirectory(prefix="atoll-graph-") as folder:
            files = download_graph(version, Path(folder), self.workspace)
            stamp = ModelStamp(
                version.name, version.version, version.graph_sha256, version.study, version.dataset_fingerprint
            )
            return BroadcastModel(stamp, _read(files.graph, "graph"), _read_labels(files.labels))


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgumentError(f"{what}: {path}: {error.strerror or error}; accepted: a readable file") from None


def _read_labels(path: Path) -> tuple[str, ...]:
    try:
        text = _read(path, "--labels").decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"--labels: {path}: not UTF-8 at byte {error.start}; accepted: one label per line"
        ) from None
    return tuple(line.rstrip("\r") for line in text.removesuffix("\n").split("\n"))
