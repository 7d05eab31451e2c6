"""A folder of images becomes a data set on Spark: every image is in it or in quarantine, and nothing moves without a cause."""

import csv
import dataclasses
import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from jobs.datasets.class_folders import list_class_folders
from jobs.datasets.dataset import SPLITS, open_dataset, read_split
from jobs.datasets.decoding import decode_image
from jobs.datasets.folder_tasks import HashPartition, Quarantined
from jobs.datasets.image_folder import fingerprint
from jobs.datasets.pixel_extraction import PixelExtraction
from jobs.datasets.prepare import prepare
from jobs.datasets.sources import ImageFolderSource
from jobs.errors import InvalidDatasetError
from jobs.experiment import Experiment, load_experiment
from jobs.labelling.formats import for_graph
from jobs.labelling.header import ImageLimits, check_image
from jobs.results import PreparedDataset
from jobs.workspace import Workspace
from tests.jobs.datasets.pictures import CLASSES, encode, huge_png, shape, write_shapes

EACH = 20
IMAGE_SHAPE = (32, 48, 3)


def experiment(place: Path, **dataset: Any) -> Experiment:
    content = {
        "name": "shapes",
        "dataset": {"source": "image_folder", "folder": "images", "image_size": [32, 48]} | dataset,
        "model": "mlp",
        "search": {"neurons": [8]},
        "default": {"layers": 1, "neurons": 4, "learning_rate": 0.001, "batch_size": 16, "dropout": 0},
        "budget": {"epochs": 2},
    }  # fmt: skip
    (place / "shapes.yaml").write_text(yaml.safe_dump(content))
    return load_experiment(place / "shapes.yaml")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_oddities(folder: Path) -> None:
    """Files that cannot be used, and copies of files that can."""
    good = encode(shape("circle", 900), "JPEG")
    (folder / "circle" / "cut.jpg").write_bytes(good[: len(good) // 2])
    (folder / "circle" / "empty.png").touch()
    (folder / "square" / "notes.txt").write_text("bought in May, the blue one is a present")
    (folder / "square" / "huge.png").write_bytes(huge_png())
    (folder / "square" / "lost.png").symlink_to(folder / "nowhere.png")
    os.mkfifo(folder / "triangle" / "pipe.png")
    (folder / "triangle" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(good)
    (folder / "circle" / "both.jpg").write_bytes(good)
    for number in range(3):
        shutil.copy(folder / "triangle" / "001.jpg", folder / "triangle" / f"copy-{number}.jpg")
    (folder / "triangle" / "turned.jpg").write_bytes(encode(shape("triangle", 901), "JPEG", orientation=6))
    (folder / "square" / "moving.gif").write_bytes(encode(shape("square", 902), "GIF"))


LIMITS = ImageLimits(megapixels=40, megabytes=50)


@dataclasses.dataclass(frozen=True)
class Home:
    """Where a folder was prepared.

    Attributes:
        place: Holds the experiment, the images and the workspace.
        prepared: The result.
    """

    place: Path
    prepared: PreparedDataset

    @property
    def images(self) -> Path:
        return self.place / "images"

    @property
    def folder(self) -> Path:
        return Path(self.prepared.folder)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    place = tmp_path_factory.mktemp("folder")
    write_shapes(place / "images", EACH)
    write_oddities(place / "images")
    return Home(place, prepare(experiment(place), Workspace(place / "home")))


@pytest.mark.spark
def test_every_file_is_an_image_of_the_data_set_or_in_quarantine_with_its_reason(home: Home) -> None:
    quarantined = {row["image"]: (row["class"], row["reason"]) for row in rows(home.folder / "quarantine.csv")}
    assert quarantined == {
        "circle/both.jpg": ("circle", "two_classes"),
        "circle/cut.jpg": ("circle", "unreadable"),
        "circle/empty.png": ("circle", "empty"),
        "square/huge.png": ("square", "too_large"),
        "square/lost.png": ("square", "fetch_failed"),
        "square/notes.txt": ("square", "not_an_image"),
        "triangle/caf\\xe9.jpg": ("triangle", "two_classes"),
        "triangle/pipe.png": ("triangle", "fetch_failed"),
    }
    assert home.prepared.quarantined == {
        "two_classes": 2, "fetch_failed": 2, "unreadable": 1, "empty": 1, "too_large": 1, "not_an_image": 1,
    }  # fmt: skip
    images = {row["image"] for row in rows(home.folder / "images.csv")}
    assert len(images) == 3 * EACH + 5, "three copies, one that is turned, and one of another format"
    assert images.isdisjoint(quarantined)
    details = {row["image"]: row["detail"] for row in rows(home.folder / "quarantine.csv")}
    assert details["square/huge.png"] == "20000 x 20000 pixels are 400 megapixels, over 40"
    assert details["circle/both.jpg"] == "the same bytes lie in circle and triangle"


@pytest.mark.spark
def test_each_split_holds_its_images_as_they_are_decoded_with_the_class_of_their_folder(home: Home) -> None:
    listed = rows(home.folder / "images.csv")
    assert home.prepared.classes == list(CLASSES)
    assert home.prepared.image_shape == IMAGE_SHAPE
    for split in SPLITS:
        members = [row for row in listed if row["split"] == split]
        images, labels = read_split(home.folder, split)
        assert images.shape == (len(members), *IMAGE_SHAPE)
        assert len(members) == getattr(home.prepared, split)
        assert [home.prepared.classes[label] for label in labels] == [row["image"].split("/")[0] for row in members]
        for image, row in zip(images, members, strict=True):
            encoded = (home.images / row["image"]).read_bytes()
            assert row["sha256"] == hashlib.sha256(encoded).hexdigest()
            labelled = for_graph(encoded, check_image(encoded, LIMITS))  # as a day's images are
            assert np.array_equal(image, decode_image(labelled, IMAGE_SHAPE))


@pytest.mark.spark
def test_copies_of_an_image_are_in_one_split_and_classes_in_equal_shares(home: Home) -> None:
    listed = rows(home.folder / "images.csv")
    assert len({row["split"] for row in listed if row["image"] in ("triangle/001.jpg", "triangle/copy-2.jpg")}) == 1
    for kind in CLASSES:
        different = {row["sha256"]: row["split"] for row in listed if row["class"] == kind}
        counts = [list(different.values()).count(split) for split in (*SPLITS, "")]
        assert counts in ([14, 3, 3, 0], [15, 3, 3, 0])


@pytest.mark.spark
def test_the_data_set_lies_alone_and_holds_nothing_of_how_it_was_made(home: Home) -> None:
    assert [path.name for path in home.folder.parent.glob("[!.]*")] == [home.prepared.fingerprint]
    assert [path for path in home.folder.parent.iterdir() if path.is_dir()] == [home.folder]
    assert sorted(path.name for path in home.folder.iterdir()) == [
        "dataset.json", "images.csv", "quarantine.csv", "test.npz", "train.npz", "validation.npz",
    ]  # fmt: skip
    assert open_dataset(home.folder).quarantined == home.prepared.quarantined


@pytest.mark.spark
def test_preparing_again_finds_it_decodes_nothing_and_asks_again_how_much_is_accepted(home: Home) -> None:
    before = {path: path.stat().st_mtime_ns for path in home.folder.iterdir()}
    left = home.folder.with_name(f".{home.folder.name}.killed") / "shards"
    left.mkdir(parents=True)
    again = prepare(experiment(home.place), Workspace(home.place / "home"))
    assert again == home.prepared.model_copy(update={"reused": True})
    assert not left.parent.exists(), "what a driver left that was killed while it wrote"
    with pytest.raises(InvalidDatasetError, match=r"8 of 73 images \(10\.96%\) cannot be used: .* at most 1\.00%"):
        prepare(experiment(home.place, max_quarantined=0.01), Workspace(home.place / "home"))
    assert {path: path.stat().st_mtime_ns for path in home.folder.iterdir()} == before


@pytest.mark.spark
def test_too_many_that_cannot_be_used_are_refused_with_the_first_of_them_and_a_report(tmp_path: Path) -> None:
    write_shapes(tmp_path / "images", EACH)
    write_oddities(tmp_path / "images")
    with pytest.raises(InvalidDatasetError) as told:
        prepare(experiment(tmp_path, max_quarantined=0.1), Workspace(tmp_path / "home"))
    said = str(told.value)
    assert said.startswith(
        "dataset.max_quarantined: 8 of 73 images (10.96%) cannot be used: "
        "circle/both.jpg (two_classes: the same bytes lie in circle and triangle), circle/cut.jpg (unreadable: "
    )
    assert "and 5 more, all in " in said
    (report,) = (tmp_path / "home" / "datasets" / "shapes").glob("[!.]*")
    assert str(report) in said
    assert len(rows(report)) == 8


@pytest.mark.spark
def test_a_class_of_which_too_few_can_be_decoded_is_told_with_where_the_others_are_listed(tmp_path: Path) -> None:
    write_shapes(tmp_path / "images", EACH)
    for path in (tmp_path / "images" / "circle").glob("*.*"):
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InvalidDatasetError) as told:
        prepare(experiment(tmp_path), Workspace(tmp_path / "home"))
    (report,) = (tmp_path / "home" / "datasets" / "shapes").glob("[!.]*")
    assert re.search(
        rf"class 'circle' has 5; accepted: 7 or more .*; what cannot be used is in {report}$", str(told.value)
    )
    assert [row["class"] for row in rows(report)] == ["circle"] * 15


@pytest.mark.spark
def test_a_class_with_too_few_images_is_told_before_anything_is_decoded(tmp_path: Path) -> None:
    write_shapes(tmp_path / "images", EACH)
    (tmp_path / "images" / "star").mkdir()
    (tmp_path / "images" / "star" / "1.png").write_bytes(encode(shape("circle", 700), "PNG"))
    with pytest.raises(InvalidDatasetError, match="class 'star' has 1; accepted: 7 or more in each class"):
        prepare(experiment(tmp_path), Workspace(tmp_path / "home"))
    assert not (tmp_path / "home").exists()


SOURCE = ImageFolderSource(source="image_folder", folder=Path("images"), image_size=(8, 8))


def found(images: Path, source: ImageFolderSource = SOURCE) -> str:
    listed = list_class_folders(images)
    return fingerprint(PixelExtraction(source), listed, list(HashPartition(images)(iter(listed.names))))


def test_the_fingerprint_stands_for_names_contents_and_what_is_made_of_them(tmp_path: Path) -> None:
    images = tmp_path / "images"
    write_shapes(images, 2)
    first = found(images)
    moved = tmp_path / "elsewhere"
    images.rename(moved)
    assert found(moved) == first, "where the folder lies does not matter"
    others = {
        found(moved, SOURCE.model_copy(update=change))
        for change in ({"image_size": (8, 9)}, {"channels": 1}, {"seed": 1}, {"max_megapixels": 1.0})
    }
    (moved / "circle" / "001.jpg").rename(moved / "circle" / "002.jpg")
    others.add(found(moved))
    with (moved / "circle" / "002.jpg").open("ab") as file:
        file.write(b"!")
    others.add(found(moved))
    (moved / "circle" / "002.jpg").unlink()
    others.add(found(moved))
    assert len(others | {first}) == 8
    assert found(moved, SOURCE.model_copy(update={"max_quarantined": 0.5})) == found(moved)


def test_a_file_that_changes_while_the_data_set_is_prepared_is_told(tmp_path: Path) -> None:
    from jobs.datasets.image_folder import _settled

    write_shapes(tmp_path, 2)
    listed = list_class_folders(tmp_path)
    before = list(HashPartition(tmp_path)(iter(listed.names)))
    assert _settled(listed, before, before) == before
    for now in (b"other", Quarantined("fetch_failed", "gone")):
        with pytest.raises(
            InvalidDatasetError, match=r"circle/more/000\.png: changed while .*; accepted: a folder at rest"
        ):
            _settled(listed, before, [before[0], now, *before[2:]])


def test_the_experiment_file_says_where_the_folder_is_from_its_own_place(tmp_path: Path) -> None:
    source = experiment(tmp_path).dataset
    assert isinstance(source, ImageFolderSource)
    assert source.folder == tmp_path / "images"
    assert source.image_shape == IMAGE_SHAPE
    grey = experiment(tmp_path, folder="/data/photos", channels=1).dataset
    assert isinstance(grey, ImageFolderSource)
    assert (grey.folder, grey.image_shape) == (Path("/data/photos"), (32, 48, 1))
