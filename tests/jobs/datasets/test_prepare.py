"""A data set is prepared once, found again under its fingerprint, and never used when it is damaged."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from jobs.datasets.dataset import SPLITS, open_dataset, read_split
from jobs.datasets.digits import read_digits
from jobs.datasets.prepare import prepare
from jobs.datasets.sample_images import write_digits_image_set
from jobs.datasets.source_images import SourceImages
from jobs.errors import InvalidDatasetError
from jobs.experiment import load_experiment
from jobs.results import PreparedDataset
from jobs.workspace import REPOSITORY, Workspace


def prepare_digits(folder: Path, **dataset: Any) -> PreparedDataset:
    content = yaml.safe_load((REPOSITORY / "experiments" / "digits.yaml").read_text())
    content["dataset"] |= dataset
    (folder / "digits.yaml").write_text(yaml.safe_dump(content))
    return prepare(load_experiment(folder / "digits.yaml"), Workspace(folder / "home"))


def test_the_splits_are_written_under_the_fingerprint(tmp_path: Path) -> None:
    prepared = prepare_digits(tmp_path)
    folder = tmp_path / "home" / "datasets" / "digits" / prepared.fingerprint
    assert Path(prepared.folder) == folder
    assert not prepared.reused
    assert sorted(path.name for path in folder.iterdir()) == ["dataset.json", "test.npz", "train.npz", "validation.npz"]
    assert (prepared.train, prepared.validation, prepared.test) == (1078, 270, 270)
    for split in SPLITS:
        images, labels = read_split(folder, split)
        assert images.shape == (getattr(prepared, split), 8, 8, 1)
        assert images.dtype == np.uint8
        assert set(labels) == set(range(10))


def test_preparing_again_finds_it_and_writes_nothing(tmp_path: Path) -> None:
    first = prepare_digits(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in Path(first.folder).iterdir()}
    again = prepare_digits(tmp_path)
    assert again.reused
    assert again.model_copy(update={"reused": False}) == first
    assert {path: path.stat().st_mtime_ns for path in Path(first.folder).iterdir()} == before


def test_another_seed_or_split_is_another_data_set(tmp_path: Path) -> None:
    prepared = [
        prepare_digits(tmp_path, **dataset)
        for dataset in ({}, {"seed": 1}, {"split": {"train": 0.5, "validation": 0.2, "test": 0.2}})
    ]
    assert len({one.fingerprint for one in prepared}) == 3


def test_a_split_that_was_changed_or_lost_is_not_used(tmp_path: Path) -> None:
    folder = Path(prepare_digits(tmp_path).folder)
    with (folder / "train.npz").open("r+b") as file:
        file.seek(500)
        file.write(b"!")
    (folder / "test.npz").unlink()
    with pytest.raises(
        InvalidDatasetError, match=r"train\.npz: sha256 \w{64}; accepted: \w{64}; delete .* prepare it again"
    ):
        read_split(folder, "train")
    with pytest.raises(InvalidDatasetError, match=r"test\.npz: missing"):
        read_split(folder, "test")
    assert len(read_split(folder, "validation")[0]) == 270


def test_a_folder_without_a_manifest_or_with_an_edited_one_is_refused(tmp_path: Path) -> None:
    folder = Path(prepare_digits(tmp_path).folder)
    manifest = folder / "dataset.json"
    manifest.write_text(manifest.read_text().replace('"name"', '"nom"'))
    with pytest.raises(InvalidDatasetError, match="accepted: an unedited manifest"):
        open_dataset(folder)
    shutil.rmtree(folder)
    with pytest.raises(InvalidDatasetError, match="no prepared data set there"):
        open_dataset(folder)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            SourceImages(np.zeros((2, 8, 8), np.uint8), np.zeros(2, np.int64), ("a",)),
            "images: uint8 of shape (2, 8, 8)",
        ),
        (SourceImages(np.zeros((2, 8, 8, 1)), np.zeros(2, np.int64), ("a",)), "images: float64"),
        (SourceImages(np.zeros((2, 8, 8, 1), np.uint8), np.zeros(3, np.int64), ("a",)), "2 images but 3 labels"),
        (SourceImages(np.zeros((0, 8, 8, 1), np.uint8), np.zeros(0, np.int64), ("a",)), "no images"),
        (
            SourceImages(np.zeros((3, 8, 8, 1), np.uint8), np.array([0, 1, 2]), ("a", "b")),
            "label of sample 2: 2; accepted: 0 to 1",
        ),
        (SourceImages(np.zeros((1, 8, 8, 1), np.uint8), np.array([-1]), ("a",)), "label of sample 0: -1"),
    ],
)
def test_a_source_that_does_not_fit_together_is_refused(source: SourceImages, said: str) -> None:
    with pytest.raises(InvalidDatasetError) as told:
        source.check("dataset x")
    assert f"dataset x: {said}" in str(told.value)


def test_the_demonstrations_images_are_in_no_split_and_some_are_damaged(tmp_path: Path) -> None:
    manifest = open_dataset(Path(prepare_digits(tmp_path).folder))
    folder = tmp_path / "images"
    truth = write_digits_image_set(folder, manifest.held_out, damaged=6)
    digits = read_digits()
    assert len(truth) == len(manifest.held_out) == len(digits.labels) - sum(manifest.counts.values())
    assert {path.name for path in folder.iterdir()} - truth.keys() == {
        f"damaged-{number:02}.png" for number in range(6)
    }
    assert {path.suffix for path in folder.iterdir()} == {".png", ".jpg"}
    for name, label in truth.items():
        index = int(name.removeprefix("digit-").split(".")[0])
        assert digits.labels[index] == label
        if name.endswith(".png"):
            with Image.open(folder / name) as image:
                assert np.array_equal(np.asarray(image), digits.images[index, :, :, 0])
