"""Transfer learning from a folder of images to labels: the photos' graph gives features, and a head learns from them."""

import csv
import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import yaml

from jobs.datasets.class_folders import list_class_folders
from jobs.datasets.dataset import SPLITS, open_dataset, read_split
from jobs.datasets.feature_extraction import FeatureExtraction
from jobs.datasets.folder_tasks import HashPartition
from jobs.datasets.image_folder import fingerprint
from jobs.datasets.prepare import prepare
from jobs.datasets.sources import ImageFeaturesSource
from jobs.datasets.tested_images import read_test_images
from jobs.errors import InvalidArgumentError, InvalidDatasetError, InvalidGraphError, ModelNotFoundError
from jobs.experiment import Experiment, load_experiment
from jobs.labelling.destination import Destination
from jobs.labelling.header import ImageLimits
from jobs.labelling.label import label_images
from jobs.labelling.model_source import RegisteredGraph
from jobs.labelling.request import LabellingRequest
from jobs.labelling.sources.folder import FolderOfImages
from jobs.models.graph_plan import PixelFormat
from jobs.models.network import build_network
from jobs.models.training import Samples, load_weights
from jobs.registry.final_test import read_final_test
from jobs.registry.gate import GateRule, gate
from jobs.registry.promotion import promote
from jobs.registry.selection import select
from jobs.results import LabelledImageSet, PreparedDataset, SelectedModel
from jobs.spark import spark_application
from jobs.tuning.leaderboard import Leaderboard, read_leaderboard
from jobs.tuning.trial import ModelDescription, TrialSpecification, checkpoint_path, run_trial
from jobs.tuning.tune import tune
from jobs.workspace import Workspace
from tests.jobs.datasets.pictures import encode, huge_png
from tests.jobs.datasets.textures import TEXTURES, texture, write_textures
from tests.jobs.models.bodies import encoded_body, pixel_body

pytestmark = pytest.mark.spark

EACH, NEW = 24, 6
TENSOR = "pool_3/_reshape:0"


@dataclasses.dataclass(frozen=True)
class Home:
    """A folder of images beside the experiment file, and a workspace."""

    place: Path
    graph: Path

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.place / "home")

    def experiment(self, model: str = "head", model_name: str | None = None, **dataset: Any) -> Experiment:
        given = {"source": "image_features", "graph": str(self.graph), "model": model_name, "tensor": TENSOR}
        if model != "head":
            given = {"source": "image_folder", "image_size": [16, 16]}
        given |= {"folder": "images", "seed": 2} | dataset
        content = {
            "name": "textures",
            "dataset": {key: value for key, value in given.items() if value is not None},
            "model": model,
            "search": {"layers": [0, 1], "learning_rate": [0.001, 0.01]},
            "default": {"layers": 0, "neurons": 32, "learning_rate": 0.001, "batch_size": 12, "dropout": 0.2},
            "budget": {"epochs": 15},
        }
        (self.place / "textures.yaml").write_text(yaml.safe_dump(content))
        return load_experiment(self.place / "textures.yaml")


@dataclasses.dataclass(frozen=True)
class Chain:
    """What each step left."""

    home: Home
    prepared: PreparedDataset
    selected: SelectedModel
    labelled: LabelledImageSet

    @property
    def dataset(self) -> Path:
        return Path(self.prepared.folder)

    @property
    def study(self) -> Path:
        return self.home.workspace.study("first")


def write_images(images: Path) -> None:
    write_textures(images, EACH)
    good = encode(texture("dots", 900), "JPEG")
    (images / "dots" / "cut.jpg").write_bytes(good[: len(good) // 2])
    (images / "dots" / "both.jpg").write_bytes(good)
    (images / "checks" / "both.jpg").write_bytes(good)
    (images / "checks" / "empty.png").touch()
    (images / "checks" / "notes.txt").write_text("bought in May")
    (images / "stripes" / "huge.png").write_bytes(huge_png())
    (images / "stripes" / "lost.png").symlink_to(images / "nowhere.png")
    (images / "stripes" / "moving.gif").write_bytes(encode(texture("stripes", 901), "GIF"))
    (images / "stripes" / "turned.jpg").write_bytes(encode(texture("stripes", 902), "JPEG", orientation=6))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> Home:
    place = tmp_path_factory.mktemp("transfer")
    write_images(place / "images")
    return Home(place, test_data / "stock" / "mobilenet_v2_imagenet_frozen.pb")


@pytest.fixture(scope="module")
def chain(home: Home) -> Chain:
    experiment = home.experiment()
    prepared = prepare(experiment, home.workspace)
    tune(experiment, Path(prepared.folder), "first", home.workspace)
    selected = select("first", home.workspace)
    write_textures(home.place / "new", NEW, first=EACH)
    request = LabellingRequest(
        model=RegisteredGraph("textures", selected.model_version, home.workspace),
        images=FolderOfImages(str(home.place / "new")),
        features=None,
        destination=Destination.in_folder(home.place / "labelled"),
        limits=ImageLimits(40, 50),
        top_k=3,
        batch_size=None,
        reduced_decoding=False,
        input_tensor=None,
        output_tensor=None,
        pixel_format=PixelFormat(),
    )
    return Chain(home, prepared, selected, label_images(request))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def features_of(graph: Path, images: list[bytes]) -> np.ndarray:
    """The tensor's values, one image at a time, by TensorFlow alone."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(tf.compat.v1.GraphDef.FromString(graph.read_bytes()), name="")
        return np.concatenate([session.run(TENSOR, {"DecodeJpeg/contents:0": one}) for one in images])


def test_each_split_holds_the_features_of_its_images_with_the_class_of_their_folder(chain: Chain) -> None:
    assert (chain.prepared.features, chain.prepared.image_shape) == (1280, None)
    assert chain.prepared.classes == list(TEXTURES)
    listed = rows(chain.dataset / "images.csv")
    for split in SPLITS:
        members = [row for row in listed if row["split"] == split]
        features, labels = read_split(chain.dataset, split)
        assert (features.dtype, features.shape) == (np.float32, (len(members), 1280))
        assert [TEXTURES[label] for label in labels] == [row["class"] for row in members]
        plain = [(row, vector) for row, vector in zip(members, features, strict=True) if row["image"][-7:-4].isdigit()]
        encoded = [(chain.home.place / "images" / row["image"]).read_bytes() for row, _ in plain]
        for (row, vector), one, expected in zip(plain, encoded, features_of(chain.home.graph, encoded), strict=True):
            assert row["sha256"] == hashlib.sha256(one).hexdigest()
            np.testing.assert_allclose(vector, expected, atol=1e-4)


def test_what_cannot_be_used_and_who_is_in_which_split_is_as_for_pixels(chain: Chain) -> None:
    pixels = prepare(chain.home.experiment("mlp"), chain.home.workspace)
    other = Path(pixels.folder)
    assert chain.prepared.quarantined == pixels.quarantined == {
        "two_classes": 2, "unreadable": 1, "empty": 1, "too_large": 1, "not_an_image": 1, "fetch_failed": 1,
    }  # fmt: skip
    assert (chain.dataset / "images.csv").read_text() == (other / "images.csv").read_text()
    assert rows(chain.dataset / "quarantine.csv") == rows(other / "quarantine.csv")


def test_the_data_set_holds_all_that_later_steps_need(chain: Chain) -> None:
    assert sorted(path.name for path in chain.dataset.iterdir()) == [
        "dataset.json", "graph.pb", "images.csv", "quarantine.csv", "test.npz", "test_images.zip", "train.npz",
        "validation.npz",
    ]  # fmt: skip
    features = open_dataset(chain.dataset).features
    assert features
    assert features.sha256 == hashlib.sha256(chain.home.graph.read_bytes()).hexdigest()
    assert (features.model, features.version, features.tensor) == ("mobilenet_v2_imagenet_frozen", None, TENSOR)
    kept, (vectors, _) = list(read_test_images(chain.dataset, features)), read_split(chain.dataset, "test")
    np.testing.assert_allclose(features_of(chain.home.graph, kept), vectors, atol=1e-4)


def test_preparing_again_finds_it_and_asks_again_how_much_is_accepted(chain: Chain) -> None:
    again = prepare(chain.home.experiment(tensor=TENSOR.removesuffix(":0")), chain.home.workspace)
    assert again == chain.prepared.model_copy(update={"reused": True})
    with pytest.raises(InvalidDatasetError, match=r"^dataset\.max_quarantined: 7 of 81 images"):
        prepare(chain.home.experiment(max_quarantined=0.01), chain.home.workspace)


def test_the_fingerprint_covers_the_graph_the_tensor_and_how_it_is_fed(home: Home, tmp_path: Path) -> None:
    (tmp_path / "small.pb").write_bytes(encoded_body())
    listed = list_class_folders(home.place / "images")
    digests = list(HashPartition(listed.root)(iter(listed.names)))

    def found(**dataset: Any) -> str:
        source = home.experiment(**dataset).dataset
        assert isinstance(source, ImageFeaturesSource)
        return fingerprint(FeatureExtraction.of(source, home.workspace), listed, digests)

    first = found()
    (tmp_path / "copy.pb").write_bytes(home.graph.read_bytes())
    assert found(graph=str(tmp_path / "copy.pb")) == found(tensor=TENSOR.removesuffix(":0")) == first
    changes = (
        {"tensor": "pool_3"}, {"graph": str(tmp_path / "small.pb")}, {"input_tensor": "DecodeJpeg/contents"},
        {"pixel_range": [-1, 1]}, {"input_size": [8, 8]}, {"seed": 3}, {"max_megapixels": 1},
    )  # fmt: skip
    assert len({first} | {found(**change) for change in changes}) == 1 + len(changes)


def test_a_head_learns_in_seconds_what_pixels_do_not_show(chain: Chain) -> None:
    trials = read_leaderboard(chain.study).trials
    assert [(trial.state, trial.reason) for trial in trials] == [("complete", None)] * 4
    assert chain.selected.test_images == chain.prepared.test == 12
    assert chain.selected.winner.accuracy >= 0.8, "chance is a third"


def test_the_version_labels_image_files_and_its_rows_are_what_the_head_gives_on_their_features(chain: Chain) -> None:
    assert (chain.labelled.labelled, chain.labelled.quarantined) == (3 * NEW, 0)
    assert chain.labelled.graph_sha256 == chain.selected.graph_sha256
    published = sorted(pq.read_table(chain.labelled.labels).to_pylist(), key=lambda row: row["image"])
    winner = chain.selected.winner.trial
    trial = next(one for one in read_leaderboard(chain.study).trials if one.number == winner)
    network = build_network("head", trial.hyperparameters, (1280,), 3)
    load_weights(network, checkpoint_path(chain.study, winner, trial.epochs))
    encoded = [(chain.home.place / "new" / row["image"]).read_bytes() for row in published]
    features = features_of(chain.home.graph, encoded)
    expected = keras.ops.softmax(network(features, training=False)).numpy()
    for row, scores in zip(published, expected, strict=True):
        assert row["label"] == TEXTURES[scores.argmax()]
        given = {best["label"]: best["score"] for best in row["top_k"]}
        np.testing.assert_allclose([given[kind] for kind in TEXTURES], scores, atol=1e-5)
    right = sum(row["label"] == row["image"].split("/")[0] for row in published)
    assert right >= 0.8 * len(published)


def test_a_champion_that_learned_from_pixels_is_compared_on_the_same_images(chain: Chain) -> None:
    workspace = chain.home.workspace
    pixels = chain.home.experiment("mlp")
    prepared, folder = prepare(pixels, workspace), workspace.study("pixels")
    description = ModelDescription("mlp", prepared.image_shape or (), 3, epochs=1, seed=0, study_folder=folder)
    train, held = (Samples(*read_split(Path(prepared.folder), split)) for split in ("train", "validation"))
    trial = run_trial(TrialSpecification(0, pixels.default, 0, 1), description, train, held, 2, "0@here")
    Leaderboard(
        study="pixels", experiment=pixels, dataset=prepared.folder, dataset_fingerprint=prepared.fingerprint,
        trials=[trial],
    ).write(folder)  # fmt: skip
    reigning = select("pixels", workspace)
    promote(gate("textures", reigning.model_version, workspace, GateRule()), workspace, "night")
    decision = gate("textures", chain.selected.model_version, workspace, GateRule())
    assert decision.test
    assert decision.test.images == chain.selected.test_images
    assert decision.test.challenger_correct == chain.selected.winner.correct
    assert decision.test.champion_correct == reigning.winner.correct, "the splits are the same, and so are the images"
    record = read_final_test(workspace.study("pixels") / "model")
    assert record
    assert record.labels == read_final_test(chain.study / "model").labels


def test_a_graph_that_is_not_there_is_named_by_its_field(home: Home) -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"^dataset\.graph: .*/gone\.pb: No such file or directory; accepted: "
    ):
        prepare(home.experiment(graph="gone.pb"), home.workspace)
    (home.place / "empty.pb").touch()
    with pytest.raises(InvalidGraphError, match=r"^dataset\.graph: .*/empty\.pb: zero bytes; accepted: "):
        prepare(home.experiment(graph="empty.pb"), home.workspace)
    with pytest.raises(ModelNotFoundError, match=r"^dataset\.model: model 'nobody': no such model; accepted: "):
        prepare(home.experiment(graph=None, model_name="nobody"), home.workspace)


def test_a_graph_or_tensor_that_cannot_give_features_is_refused_by_an_executor(home: Home, tmp_path: Path) -> None:
    leaked = tmp_path / "leaked"

    def leak(pooled: tf.Tensor) -> None:
        with tf.control_dependencies([tf.io.write_file(str(leaked), "leaked")]):
            tf.identity(pooled, name="vector")

    (tmp_path / "hostile.pb").write_bytes(encoded_body(leak))
    (tmp_path / "pixels.pb").write_bytes(pixel_body())
    mistakes = {
        r"^dataset\.graph: .*/hostile\.pb: operation not allowed: WriteFile": {
            "graph": str(tmp_path / "hostile.pb"), "tensor": "vector",
        },
        r"^dataset\.graph: .*/pixels\.pb: .* say the values of black and white with dataset\.pixel_range": {
            "graph": str(tmp_path / "pixels.pb"), "tensor": "vector",
        },
        r"^dataset\.tensor: 'pool_9:0' of .*frozen\.pb: no such tensor .* pool_3:0 \(1280\)": {"tensor": "pool_9:0"},
        r"^dataset\.tensor: 'Mul' of .*: an image gives float32 of shape \(1, 224, 224, 3\); accepted: one vector": {
            "tensor": "Mul",
        },
        r"^dataset\.graph: .*frozen\.pb: no tensor 'gone' that .*; accepted: DecodeJpeg/contents:0": {
            "input_tensor": "gone",
        },
    }  # fmt: skip
    with spark_application("mistakes") as (context, layout):
        for said, dataset in mistakes.items():
            source = home.experiment(**dataset).dataset
            assert isinstance(source, ImageFeaturesSource)
            with pytest.raises(InvalidGraphError, match=said):
                FeatureExtraction.of(source, home.workspace).start(context, layout, 10)
    assert not leaked.exists()
