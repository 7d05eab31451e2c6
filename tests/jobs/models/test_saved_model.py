"""SavedModels and `.keras` files are frozen on the way in, by a process of its own; hostile ones are refused before loading."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from jobs.errors import InvalidGraphError
from jobs.models.frozen_graph import load_graph
from jobs.models.graph_plan import PixelFormat
from jobs.models.graph_planning import plan_graph
from jobs.models.sample_jpegs import sample_jpegs
from jobs.models.saved_model import check_saved_model, freeze_apart, freeze_saved_model, is_saved_model

BYTES = PixelFormat(range=(0.0, 255.0))
SIDE = 16


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(4)
    layers = [
        keras.Input((SIDE, SIDE, 3)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(4, 3, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.Flatten(),
        keras.layers.Dense(3, activation="softmax"),
    ]
    return keras.Sequential(layers)


@pytest.fixture(scope="module")
def saved(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "flowers"
    network.export(folder, verbose=False)
    return folder


def scored_by(content):
    plan = plan_graph(content, pixel_format=BYTES)
    assert plan.cut_tensor is not None
    graph = load_graph(content, plan)
    return graph.scores([graph.prepare(sample) for sample in sample_jpegs()])


def expected_of(network):
    images = [tf.image.resize(tf.io.decode_jpeg(sample), (SIDE, SIDE)) for sample in sample_jpegs()]
    return network.predict(np.stack(images), verbose=0)


def test_a_keras_file_gives_the_scores_of_its_network(network, tmp_path):
    network.save(tmp_path / "flowers.keras")
    assert is_saved_model(tmp_path / "flowers.keras")
    freeze_apart(tmp_path / "flowers.keras", tmp_path / "frozen.pb")
    np.testing.assert_allclose(scored_by((tmp_path / "frozen.pb").read_bytes()), expected_of(network), atol=1e-5)


def test_a_saved_model_gives_the_scores_of_its_network(network, saved, tmp_path):
    assert is_saved_model(saved)
    freeze_apart(saved, tmp_path / "frozen.pb")
    np.testing.assert_allclose(scored_by((tmp_path / "frozen.pb").read_bytes()), expected_of(network), atol=1e-5)


def test_freezing_again_gives_the_same_bytes(saved):
    assert freeze_saved_model(saved) == freeze_saved_model(saved)


class Leaking(tf.Module):
    """Does something it should not, and gives scores."""

    def __init__(self, leak):
        super().__init__()
        self._leak = leak

    @tf.function(input_signature=[tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32, name="pixels")])
    def __call__(self, pixels):
        with tf.control_dependencies([self._leak()]):
            return tf.nn.softmax(tf.reduce_mean(pixels, axis=(1, 2)))


@pytest.mark.parametrize(
    ("leak", "named"),
    [
        (lambda: tf.io.read_file("secret"), "ReadFile"),
        (lambda: tf.io.write_file("leaked", "x"), "WriteFile"),
        (lambda: tf.numpy_function(lambda: np.float32(0), [], tf.float32), "PyFunc"),
    ],
    ids=["reads", "writes", "calls Python"],
)
def test_a_saved_model_that_does_more_than_infer_is_refused_by_name(leak, named, tmp_path):
    module = Leaking(leak)
    tf.saved_model.save(module, tmp_path, signatures=module.__call__.get_concrete_function())
    with pytest.raises(InvalidGraphError, match=f"operation not allowed: .*{named}"):
        check_saved_model((tmp_path / "saved_model.pb").read_bytes())
    with pytest.raises(InvalidGraphError, match=named):
        freeze_apart(tmp_path, tmp_path / "frozen.pb")
    assert not (tmp_path / "frozen.pb").exists()


def test_a_table_that_is_filled_while_loading_is_refused(tmp_path):
    class WithTable(tf.Module):
        def __init__(self):
            super().__init__()
            values = tf.lookup.KeyValueTensorInitializer([0], [1.0])
            self.table = tf.lookup.StaticHashTable(values, default_value=0.0)

        @tf.function(input_signature=[tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32)])
        def __call__(self, pixels):
            return tf.nn.softmax(tf.reduce_mean(pixels, axis=(1, 2)) + self.table.lookup(tf.constant(0)))

    tf.saved_model.save(WithTable(), tmp_path)
    with pytest.raises(InvalidGraphError, match=r"not allowed|initialised by code"):
        freeze_apart(tmp_path, tmp_path / "frozen.pb")


def test_a_keras_file_with_code_of_its_own_is_refused(tmp_path):
    code = keras.Sequential([keras.Input((SIDE, SIDE, 3)), keras.layers.Lambda(lambda pixels: pixels * 2)])
    code.save(tmp_path / "code.keras")
    with pytest.raises(InvalidGraphError, match=r"code\.keras: it cannot be loaded: .*[Ll]ambda"):
        freeze_apart(tmp_path / "code.keras", tmp_path / "frozen.pb")


def test_a_damaged_folder_is_told_in_one_line(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "damaged")
    shutil.rmtree(tmp_path / "damaged" / "variables")
    with pytest.raises(InvalidGraphError, match=r"^[^\n]*damaged: it cannot be loaded[^\n]*$"):
        freeze_apart(tmp_path / "damaged", tmp_path / "frozen.pb")
