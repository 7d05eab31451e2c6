"""The final test: the one time that a study reads the test split, and the record of what came out."""

import io
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from jobs.datasets.dataset import Dataset, open_dataset, read_split
from jobs.datasets.tested_images import read_test_images
from jobs.errors import InvalidStudyError
from jobs.files import write_atomically
from jobs.records import mistake_in
from jobs.registry.versions import ModelVersion, download_graph, find_champion
from jobs.workspace import Workspace

log = logging.getLogger("atoll")

RECORD_FILE = "final_test.json"

_BATCH = 32
"""Images at once. The first layers of a large graph make several megabytes of each."""


class FinalTest(BaseModel):
    """What the winner, the default hyperparameters and the reigning champion made of the same test split.

    Attributes:
        dataset_fingerprint: The data set whose test split was read.
        read_at: When it was read, in seconds since 1970.
        labels: True class of each test image.
        winner: Class that the winner's frozen graph gives each.
        default: Class that the default's frozen graph gives each; None when the default's trial failed.
        champion: Class that the champion's frozen graph gives each; None when there was none, or it knows other classes.
        champion_version: Version of that champion.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset_fingerprint: str
    read_at: float
    labels: list[int]
    winner: list[int]
    default: list[int] | None
    champion: list[int] | None
    champion_version: int | None


def read_final_test(folder: Path) -> FinalTest | None:
    """Reads the record of a final test; None when it has not been made.

    Raises:
        InvalidStudyError: The record cannot be read.
    """
    path = folder / RECORD_FILE
    try:
        return FinalTest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise InvalidStudyError(f"{path}: {mistake_in(error)}; accepted: an unedited record of this version") from None


def run_final_test(
    folder: Path, model_name: str, dataset_folder: Path, dataset: Dataset, winner: bytes, default: bytes | None,
    workspace: Workspace,
) -> FinalTest:  # fmt: skip
    """Reads the test split and labels it with the frozen graphs of the winner, the default and the champion.

    Args:
        folder: Where the record is written, so that it is made once.
        model_name: Name of the model whose champion takes part.
        dataset_folder: The prepared data set.
        dataset: Its manifest.
        winner: The winner's serialised GraphDef.
        default: That of the default hyperparameters, or None.
        workspace: Where the registry lies when it has no server.
    """
    log.info("reading the test split, once: %d images", dataset.counts["test"])
    encoded, labels = _test_split(dataset_folder, dataset)
    reigning = find_champion(model_name, workspace)
    champion = champion_graph(reigning, dataset.classes, workspace) if reigning else None
    test = FinalTest(
        dataset_fingerprint=dataset.fingerprint,
        read_at=time.time(),
        labels=labels.tolist(),
        winner=classify(winner, encoded()).tolist(),
        default=classify(default, encoded()).tolist() if default is not None else None,
        champion=classify(champion, encoded()).tolist() if champion is not None else None,
        champion_version=reigning.version if reigning else None,
    )
    write_atomically(folder / RECORD_FILE, test.model_dump_json() + "\n")
    return test


def champion_predictions(dataset_folder: Path, champion: ModelVersion, workspace: Workspace) -> list[int] | None:
    """Labels a test split with a champion that took over after the final test was made.

    Returns:
        The class that the champion gives each test image, in the order of the split; None when it knows other classes.

    Raises:
        InvalidDatasetError: The data set is gone, or was changed.
    """
    dataset = open_dataset(dataset_folder)
    graph = champion_graph(champion, dataset.classes, workspace)
    encoded, _ = _test_split(dataset_folder, dataset)
    return classify(graph, encoded()).tolist() if graph is not None else None


def champion_graph(champion: ModelVersion, classes: list[str], workspace: Workspace) -> bytes | None:
    """Fetches the champion's frozen graph; None when its classes are not `classes`."""
    with tempfile.TemporaryDirectory(prefix="atoll-champion-") as scratch:
        files = download_graph(champion, Path(scratch), workspace)
        if files.labels.read_text(encoding="utf-8").splitlines() != classes:
            return None
        return files.graph.read_bytes()


def _test_split(folder: Path, dataset: Dataset) -> tuple[Callable[[], Iterator[bytes]], NDArray[np.int64]]:
    """Gives what reads the images of the test split, encoded, as often as it is called; and their labels."""
    inputs, labels = read_split(folder, "test")
    if dataset.features:
        return partial(read_test_images, folder, dataset.features), labels
    return partial(encode_images, inputs), labels


def classify(graph: bytes, encoded: Iterable[bytes]) -> NDArray[np.int64]:
    """Labels encoded images with a frozen graph, the way that `label_images` does.

    Args:
        graph: A serialised GraphDef.
        encoded: PNG or JPEG files.

    Returns:
        Index of the best class of each image, int64, shape (images,).
    """
    from jobs.models.frozen_graph import load_graph
    from jobs.models.graph_planning import plan_graph

    frozen = load_graph(graph, plan_graph(graph))
    best, images = [], iter(encoded)
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        while prepared := list(threads.map(frozen.prepare, islice(images, _BATCH))):
            best.append(frozen.scores(prepared).argmax(axis=1))
    return np.concatenate(best)


def encode_images(images: NDArray[np.uint8]) -> Iterator[bytes]:
    """Encodes images as PNG, which loses nothing.

    Args:
        images: uint8, shape (images, height, width, channels), of 1 or 3 channels.
    """
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(file, "PNG", compress_level=1)
        yield file.getvalue()
