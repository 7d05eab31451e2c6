"""A fingerprint stands for the content and the splits of a data set, and for nothing else."""

import dataclasses
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jobs.datasets.dataset import SPLITS, fingerprint, open_dataset, read_split, write_dataset
from jobs.datasets.source_images import SourceImages
from jobs.datasets.splits import SplitIndices, split_samples
from jobs.errors import InvalidDatasetError
from jobs.workspace import REPOSITORY

SOURCE = SourceImages(
    np.arange(40 * 4, dtype=np.uint8).reshape(40, 2, 2, 1), np.tile(np.arange(2), 20), classes=("even", "odd")
)


def split(labels: np.ndarray, seed: int = 0) -> SplitIndices:
    return split_samples(labels, train=0.5, validation=0.2, test=0.2, test_from=None, seed=seed)


def one_pixel(source: SourceImages) -> SourceImages:
    images = source.images.copy()
    images[7, 1, 0, 0] ^= 1
    return dataclasses.replace(source, images=images)


def two_labels(source: SourceImages) -> SourceImages:
    labels = source.labels.copy()
    labels[[4, 5]] = labels[[5, 4]]
    return dataclasses.replace(source, labels=labels)


@pytest.mark.parametrize(
    "change",
    [
        one_pixel,
        two_labels,
        lambda source: dataclasses.replace(source, classes=("odd", "even")),
        lambda source: dataclasses.replace(source, images=source.images.reshape(40, 4, 1, 1)),
    ],
    ids=["a pixel", "two labels", "names of classes", "shape of images"],
)
def test_other_content_has_another_fingerprint(change: Callable[[SourceImages], SourceImages]) -> None:
    splits = split(SOURCE.labels)
    assert fingerprint(change(SOURCE), splits) != fingerprint(SOURCE, splits)


def test_a_sample_that_moves_to_another_split_changes_the_fingerprint() -> None:
    splits = split(SOURCE.labels)
    moved = dataclasses.replace(
        splits, train=splits.train[:-1], validation=np.append(splits.train[-1:], splits.validation)
    )
    kept_out = dataclasses.replace(splits, test=splits.test[1:], held_out=np.append(splits.test[:1], splits.held_out))
    assert len({fingerprint(SOURCE, each) for each in (splits, moved, kept_out, split(SOURCE.labels, seed=1))}) == 4


def test_equal_content_has_the_same_fingerprint_however_it_lies_in_memory() -> None:
    splits = split(SOURCE.labels)
    found = fingerprint(SOURCE, splits)
    assert len(found) == 16
    assert int(found, 16) >= 0
    transposed = np.asfortranarray(SOURCE.images)
    assert fingerprint(dataclasses.replace(SOURCE, images=transposed), splits) == found


def test_another_process_on_another_day_finds_the_same_data_set(tmp_path: Path) -> None:
    prepared = []
    for hash_seed in ("1", "2"):
        result = tmp_path / f"{hash_seed}.json"
        subprocess.run(
            [sys.executable, "jobs/prepare_dataset.py", "--experiment", "experiments/digits.yaml", "--result", result],
            cwd=REPOSITORY,
            env={"ATOLL_HOME": str(tmp_path / "home"), "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            timeout=120,
        )
        prepared.append(json.loads(result.read_text()))
    assert [one.pop("reused") for one in prepared] == [False, True]
    assert prepared[0] == prepared[1]


def test_two_drivers_that_prepare_at_once_leave_one_whole_data_set(tmp_path: Path) -> None:
    splits, folder = split(SOURCE.labels), tmp_path / "small" / "f"
    start = threading.Barrier(4)

    def write() -> None:
        start.wait(20)
        write_dataset(folder, "small", SOURCE, splits)

    drivers = [threading.Thread(target=write) for _ in range(4)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join(60)
    assert [place.name for place in folder.parent.iterdir()] == ["f"]
    assert open_dataset(folder).held_out == splits.held_out.tolist()
    for name in SPLITS:
        images, labels = read_split(folder, name)
        assert np.array_equal(images, SOURCE.images[getattr(splits, name)])
        assert np.array_equal(labels, SOURCE.labels[getattr(splits, name)])


def test_a_data_set_whose_writing_fails_does_not_appear(tmp_path: Path) -> None:
    splits = dataclasses.replace(split(SOURCE.labels), test=np.array([999]))
    with pytest.raises(IndexError):
        write_dataset(tmp_path / "small" / "f", "small", SOURCE, splits)
    assert list((tmp_path / "small").iterdir()) == []


def test_a_manifest_that_is_no_json_is_refused_with_its_name(tmp_path: Path) -> None:
    write_dataset(tmp_path / "f", "small", SOURCE, split(SOURCE.labels))
    (tmp_path / "f" / "dataset.json").write_text("{")
    with pytest.raises(InvalidDatasetError, match=r"f/dataset\.json: .*; accepted: an unedited manifest"):
        read_split(tmp_path / "f", "train")
    (tmp_path / "file").touch()
    with pytest.raises(InvalidDatasetError, match=r"file: no prepared data set there"):
        open_dataset(tmp_path / "file")
