"""SavedModels and `.keras` files are frozen on the way in, by a process of its own; hostile ones are refused before loading."""

import json
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from jobs.errors import InvalidGraphError
from jobs.models.frozen_graph import load_graph
from jobs.models.graph_plan import PixelFormat
from jobs.models.graph_planning import plan_graph
from jobs.models.sample_jpegs import sample_jpegs
from jobs.models.saved_model import (
    check_saved_model,
    freeze_apart,
    freeze_keras,
    freeze_saved_model,
    is_saved_model,
)

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


@pytest.mark.parametrize("copies", [1, 2], ids=["one graph without objects", "two graphs with objects"])
def test_a_program_of_tensorflow_1_may_not_write_when_it_is_initialised(tmp_path, copies):
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session() as session:
        pixels = tf.compat.v1.placeholder(tf.float32, (None, SIDE, SIDE, 3))
        scores = tf.nn.softmax(tf.reduce_mean(pixels, axis=(1, 2)))
        write = {"tensor_names": ["x"], "shape_and_slices": [""], "tensors": [tf.constant("anything")]}
        with tf.control_dependencies([tf.raw_ops.SaveV2(prefix=str(tmp_path / "leaked"), **write)]):
            initialise = tf.no_op()
        builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "model"))
        signature = tf.compat.v1.saved_model.predict_signature_def({"pixels": pixels}, {"scores": scores})
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, main_op=initialise)
        builder.save()
    file = tmp_path / "model" / "saved_model.pb"
    saved = SavedModel.FromString(file.read_bytes())
    for _ in range(copies - 1):
        saved.meta_graphs[0].object_graph_def.nodes.add()
        saved.meta_graphs.add().CopyFrom(saved.meta_graphs[0])
    file.write_bytes(saved.SerializeToString())
    with pytest.raises(InvalidGraphError, match=r"operation not allowed: SaveV2 \(node "):
        freeze_saved_model(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_calls_itself_a_table_of_tensorflows_is_taken_for_one():
    saved = SavedModel()
    saved.meta_graphs.add().object_graph_def.nodes.add().user_object.identifier = "_generic_user_object"
    check_saved_model(saved.SerializeToString())
    saved.meta_graphs[0].object_graph_def.nodes[0].registered_name = "tf.StaticHashTable"
    with pytest.raises(InvalidGraphError, match="initialised by code"):
        check_saved_model(saved.SerializeToString())


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


def activation(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": "function"}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"activation": activation("os", "system")}, "os"),
        ({"activation": activation("builtins", "eval")}, "eval"),
        (
            {"activation": activation("keras.config", "enable_unsafe_deserialization")},
            "Non-modeling APIs are disallowed",
        ),
        ({"activation": activation("keras.utils", "get_file")}, "Non-modeling APIs are disallowed"),
        ({"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}}, "safe_mode"),
        ({"class_name": "TFSMLayer", "config": {"filepath": "/tmp", "call_endpoint": "serve"}}, "safe_mode"),
    ],
    ids=["a command", "an expression", "the guard itself", "a download", "a file", "a SavedModel"],
)
def test_a_keras_file_can_name_nothing_but_layers(network, tmp_path, edit, said):
    network.save(tmp_path / "plain.keras")
    with zipfile.ZipFile(tmp_path / "plain.keras") as plain, zipfile.ZipFile(tmp_path / "evil.keras", "w") as evil:
        for name in plain.namelist():
            content = plain.read(name)
            if name == "config.json":
                settings = json.loads(content)
                layer = settings["config"]["layers"][-1]
                if "class_name" in edit:
                    layer |= edit
                else:
                    layer["config"] |= edit
                content = json.dumps(settings)
            evil.writestr(name, content)
    with pytest.raises((TypeError, ValueError), match=said):
        freeze_keras(tmp_path / "evil.keras")


@pytest.mark.parametrize("leads_out", ["link", "data"])
def test_the_weights_of_a_keras_file_are_its_own(network, tmp_path, leads_out):
    """HDF5 can keep a part of its content in any other file, which would become part of the graph."""
    network.save(tmp_path / "plain.keras")
    with zipfile.ZipFile(tmp_path / "plain.keras") as plain:
        members = {name: plain.read(name) for name in plain.namelist()}
    (tmp_path / "weights.h5").write_bytes(members["model.weights.h5"])
    (tmp_path / "secret").write_bytes(bytes(12))
    with h5py.File(tmp_path / "weights.h5", "a") as weights:
        found = []
        weights.visititems(lambda name, item: found.append(name) if getattr(item, "shape", None) == (3,) else None)
        del weights[found[0]]
        if leads_out == "link":
            weights[found[0]] = h5py.ExternalLink(str(tmp_path / "other.h5"), "weights")
        else:
            weights.create_dataset(found[0], (3,), "f4", external=[(str(tmp_path / "secret"), 0, 12)])
    members["model.weights.h5"] = (tmp_path / "weights.h5").read_bytes()
    with zipfile.ZipFile(tmp_path / "evil.keras", "w") as evil:
        for name, content in members.items():
            evil.writestr(name, content)
    with pytest.raises(ValueError, match="Not allowed: H5 file with"):
        freeze_keras(tmp_path / "evil.keras")


def test_a_damaged_folder_is_told_in_one_line(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "damaged")
    shutil.rmtree(tmp_path / "damaged" / "variables")
    with pytest.raises(InvalidGraphError, match=r"^[^\n]*damaged: it cannot be loaded[^\n]*$"):
        freeze_apart(tmp_path / "damaged", tmp_path / "frozen.pb")
