"""Networks, training and freezing."""

import io
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from jobs.models.freezing import freeze
from jobs.models.hyperparameters import Hyperparameters
from jobs.models.network import build_network
from jobs.models.training import DivergedError, EpochScore, Samples, Trainer, load_weights, predict, save_checkpoint

POINT = Hyperparameters(layers=2, neurons=16, learning_rate=0.01, batch_size=7, dropout=0.25)


def samples(count: int, shape: tuple[int, int, int], seed: int = 0) -> Samples:
    """Images whose class shows in their brightness."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, count)
    noise = generator.integers(0, 60, (count, *shape))
    return Samples((noise + labels[:, None, None, None] * 90).astype(np.uint8), labels)


def run_frozen(graph: bytes, encoded: list[bytes]) -> np.ndarray:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(tf.compat.v1.GraphDef.FromString(graph), name="")
        return np.concatenate([session.run("softmax:0", {"DecodeJpeg/contents:0": one}) for one in encoded])


def encode(image: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(file, kind, quality=100)
    return file.getvalue()


@pytest.mark.parametrize("architecture", ["mlp", "cnn"])
@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 12, 3)])
def test_the_frozen_graph_gives_what_the_network_gives(architecture: str, shape: tuple[int, int, int]) -> None:
    network = build_network(architecture, POINT, shape, 3)
    images = samples(5, shape).inputs
    expected = keras.ops.softmax(network(images / np.float32(255), training=False)).numpy()
    graph = freeze(network, shape)
    np.testing.assert_allclose(run_frozen(graph, [encode(image, "PNG") for image in images]), expected, atol=1e-5)
    jpeg = run_frozen(graph, [encode(image, "JPEG") for image in images])
    assert jpeg.shape == (5, 3)


def test_the_frozen_graph_takes_images_of_any_size_and_colour() -> None:
    graph = freeze(build_network("cnn", POINT, (8, 8, 1), 3), (8, 8, 1))
    encoded = [encode(np.full((height, width, 3), 80, np.uint8), "PNG") for height, width in ((1, 1), (30, 17))]
    assert run_frozen(graph, encoded).shape == (2, 3)


def test_a_network_has_the_layers_and_neurons_that_were_asked_for() -> None:
    network = build_network("mlp", POINT, (8, 8, 1), 3)
    dense = [layer.units for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    assert dense == [16, 16, 3]
    assert [layer.rate for layer in network.layers if isinstance(layer, keras.layers.Dropout)] == [0.25, 0.25]


def learn(network: keras.Model, train: Samples, held: Samples, point: Hyperparameters, epochs: int) -> list[EpochScore]:
    return list(Trainer(network, train, held, point, epochs).train(point.learning_rate, range(1, epochs + 1), seed=0))


def test_training_learns_and_scores_every_epoch_with_a_partial_last_batch() -> None:
    keras.utils.set_random_seed(0)
    network = build_network("mlp", POINT, (4, 4, 1), 3)
    curve = learn(network, samples(100, (4, 4, 1)), samples(50, (4, 4, 1), 1), POINT, 15)
    assert [score.epoch for score in curve] == list(range(1, 16))
    assert curve[-1].validation_accuracy > 0.9
    assert curve[-1].training_loss < curve[0].training_loss
    assert [score.seconds for score in curve] == sorted(score.seconds for score in curve)


def test_gathering_by_index_is_the_mathematics_of_plain_keras() -> None:
    data, held = samples(60, (4, 4, 1)), samples(20, (4, 4, 1), 1)
    point = POINT.model_copy(update={"batch_size": 60, "dropout": 0.0})  # one step an epoch: the order cannot matter
    keras.utils.set_random_seed(3)
    ours = build_network("mlp", point, (4, 4, 1), 3)
    plain = keras.models.clone_model(ours)
    plain.set_weights(ours.get_weights())
    plain.compile(
        keras.optimizers.Adam(point.learning_rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    expected = plain.fit(data.inputs / np.float32(255), data.labels, batch_size=60, epochs=5, verbose=0).history["loss"]
    got = [score.training_loss for score in learn(ours, data, held, point, 5)]
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_a_diverging_network_is_told_at_the_epoch() -> None:
    point = POINT.model_copy(update={"learning_rate": 1e30, "dropout": 0.0})
    network = build_network("mlp", point, (4, 4, 1), 3)
    with pytest.raises(DivergedError, match="in epoch 1"):
        learn(network, samples(60, (4, 4, 1)), samples(20, (4, 4, 1), 1), point, 3)


def test_saved_weights_come_back(tmp_path: Path) -> None:
    network, other = build_network("cnn", POINT, (8, 8, 1), 3), build_network("cnn", POINT, (8, 8, 1), 3)
    network.compile("adam")
    save_checkpoint(network, tmp_path / "new" / "epoch-1.npz")
    load_weights(other, tmp_path / "new" / "epoch-1.npz")
    images = samples(9, (8, 8, 1)).inputs
    np.testing.assert_array_equal(predict(network, images), predict(other, images))
    for one, two in zip(network.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
