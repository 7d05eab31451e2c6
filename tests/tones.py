"""A model whose labels anyone can foretell: it names an image's tone, and each of its versions names the tones anew."""

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from jobs.labelling.arrival import COMPLETE_MARKER
from jobs.registry.champions import set_champion
from jobs.registry.versions import ModelVersion, register
from jobs.workspace import Workspace

NAME = "tones"
"""The experiment, the model and the image set."""

TONES = (0, 85, 170, 255)
LABELS = ("black", "dark", "light", "white")
SIDE = 8
IMAGES = 5
"""Good images of a day; on every third day there is one that is cut short, too."""


def frozen_graph(version: int) -> bytes:
    """Gives a graph whose version 1 calls each tone by its name, and whose next versions are off by one name more each."""
    import tensorflow as tf

    from jobs.models.freezing import decode_and_resize

    with tf.Graph().as_default() as graph:
        contents = tf.compat.v1.placeholder(tf.string, (), name="DecodeJpeg/contents")
        decoded = decode_and_resize(contents, (SIDE, SIDE, 1))
        images = tf.raw_ops.PlaceholderWithDefault(input=decoded, shape=(None, SIDE, SIDE, 1), name="images")
        tone = tf.reduce_mean(images, axis=(1, 2))
        centres = tf.constant(np.roll(TONES, version - 1)[np.newaxis], tf.float32)
        tf.nn.softmax(-tf.square(tone - centres) / 400.0, name="softmax")
    return bytes(graph.as_graph_def().SerializeToString(deterministic=True))


def label_of(tone: int, version: int) -> str:
    """Gives the name that a version gives to a tone, by the tone's place in `TONES`."""
    return LABELS[(tone + version - 1) % len(LABELS)]


def add_version(number: int, workspace: Workspace, folder: Path, since: datetime | None) -> ModelVersion:
    """Registers the next version, and makes it champion from a moment on; None leaves the champion."""
    folder.mkdir(parents=True)
    (folder / "graph.pb").write_bytes(frozen_graph(number))
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    metrics = {"test_accuracy": 0.9 + number / 100, "test_errors": 10.0 - number}
    version = register(NAME, f"{NAME}-night-{number}", "0123456789abcdef", folder, metrics, workspace)
    assert version.version == number
    if since is not None:
        set_champion(version, workspace, f"tune_model night {number}", f"better than version {number - 1}", since)
    return version


def tones_of(day: date) -> dict[str, int]:
    """Gives the good images of a day: the place of each one's tone in `TONES`, by name."""
    noise = np.random.default_rng(day.toordinal())
    return {f"{day}-{number}.png": int(noise.integers(len(TONES))) for number in range(IMAGES)}


def damaged_of(day: date) -> list[str]:
    """Gives the names of a day's images that no one can label."""
    return [f"{day}-cut.png"] if day.toordinal() % 3 == 0 else []


def write_images(workspace: Workspace, day: date) -> None:
    """Writes the image set of a day."""
    folder = workspace.image_set(NAME, day)
    folder.mkdir(parents=True)
    for name, tone in tones_of(day).items():
        (folder / name).write_bytes(_png(TONES[tone]))
    for name in damaged_of(day):
        (folder / name).write_bytes(_png(0)[:40])
    (folder / COMPLETE_MARKER).touch()


def wrong_rows(workspace: Workspace, day: date, version: ModelVersion) -> list[str]:
    """Compares what is published of a day, row by row, with what it must be; gives what is wrong."""
    folders = workspace.labels(NAME, day), workspace.quarantine(NAME, day)
    if not all(folder.is_dir() for folder in folders):
        return [f"{day}: not published"]
    labels, quarantine = (pq.read_table(folder).to_pylist() for folder in folders)
    expected = {name: label_of(tone, version.version) for name, tone in tones_of(day).items()}
    wrong = [f"{day}: {row}" for row in labels if not _as_expected(row, expected, version)]
    if sorted(row["image"] for row in labels) != sorted(expected):
        wrong.append(f"{day}: labels of {[row['image'] for row in labels]}")
    if sorted((row["image"], row["reason"]) for row in quarantine) != [
        (name, "not_an_image") for name in damaged_of(day)
    ]:
        wrong.append(f"{day}: quarantine {quarantine}")
    return wrong


def published(workspace: Workspace) -> dict[str, list[dict]]:
    """Reads all that readers see of the image set: the rows of each day by image, without when they were labelled.

    Scores are those of float32, and what is nearly zero is left out: TensorFlow adds up in another order from run to run.
    """
    found: dict[str, list[dict]] = {}
    for kind in ("labels", "quarantine"):
        for file in (workspace.root / kind / NAME).glob("ds=*/*.parquet"):
            rows = found.setdefault(f"{kind}/{file.parent.name}", [])
            rows += [_steady(row) for row in pq.read_table(file, partitioning=None).to_pylist()]
            rows.sort(key=lambda row: row["image"])
    return found


def _steady(row: dict) -> dict:
    steady = {column: value for column, value in row.items() if column != "labelled_at"}
    if "score" in row:
        best = [(one["label"], round(one["score"], 6)) for one in row["top_k"] if one["score"] > 1e-6]
        steady |= {"score": round(row["score"], 6), "top_k": best}
    return steady


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Lets this process see the registry of a stack."""
    names = ("MLFLOW_TRACKING_URI",)
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: settings[name] for name in names})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _as_expected(row: dict, expected: Mapping[str, str], version: ModelVersion) -> bool:
    told = (row["label"], row["model_name"], row["model_version"], row["graph_sha256"], row["width"], row["height"])
    scores = [one["score"] for one in row["top_k"]]
    return (
        told == (expected.get(row["image"]), NAME, version.version, version.graph_sha256, SIDE, SIDE)
        and row["score"] == scores[0] > 0.99
        and row["top_k"][0]["label"] == row["label"]
        and scores == sorted(scores, reverse=True)
        and sorted(one["label"] for one in row["top_k"]) == sorted(LABELS)
    )


def _png(tone: int) -> bytes:
    encoded = io.BytesIO()
    Image.new("L", (SIDE, SIDE), tone).save(encoded, "PNG")
    return encoded.getvalue()
