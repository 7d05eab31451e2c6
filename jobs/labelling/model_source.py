"""Where the frozen graph and its labels come from: two files, or the registry."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import InvalidArgumentError, InvalidGraphError
from jobs.labelling.label_names import LabelNames, read_label_names
from jobs.labelling.partition import BroadcastModel
from jobs.labelling.schema import ModelStamp
from jobs.models.saved_model import freeze_apart, is_saved_model
from jobs.workspace import Workspace


@dataclass(frozen=True)
class GraphOnDisk:
    """A graph that the user gives.

    Attributes:
        graph: A frozen GraphDef, a SavedModel's folder or a `.keras` file.
        labels: Names of its classes, one per line; with `synsets`, the map from classes to synsets; None where
            features are asked for.
        synsets: The other file of ImageNet's pair; None where there is none.
        asked_by: The argument or field that names the graph, for messages.
    """

    graph: Path
    labels: Path | None
    synsets: Path | None = None
    asked_by: str = "--graph"

    def load(self) -> BroadcastModel:
        """Reads all files; the model is named after the graph's.

        Raises:
            InvalidArgumentError: A file cannot be read, or the labels are not text.
            InvalidGraphError: The graph's file is empty, or it is a SavedModel that cannot be frozen.
        """
        saved = is_saved_model(self.graph)
        content = b"" if saved else _read(self.graph, self.asked_by)
        labels = read_label_names(self.labels, self.synsets) if self.labels else LabelNames(())
        if saved:
            content = _frozen(self.graph)  # last, since it takes some seconds
        if not content:
            raise InvalidGraphError(f"{self.graph}: zero bytes; accepted: a binary GraphDef")
        stamp = ModelStamp(self.graph.stem, None, hashlib.sha256(content).hexdigest())
        return BroadcastModel(stamp, content, labels)


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
            return BroadcastModel(stamp, _read(files.graph, "graph"), read_label_names(files.labels, None))


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgumentError(f"{what}: {path}: {error.strerror or error}; accepted: a readable file") from None


def _frozen(path: Path) -> bytes:
    with tempfile.TemporaryDirectory(prefix="atoll-graph-") as folder:
        frozen = Path(folder) / "frozen.pb"
        freeze_apart(path, frozen)
        return frozen.read_bytes()
