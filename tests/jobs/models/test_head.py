"""A head learns from features, carries its standardisation with it, and is joined with the graph that gives them."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from jobs.errors import InvalidGraphError
from jobs.models.frozen_graph import load_graph
from jobs.models.graph_plan import PixelInput
from jobs.models.graph_planning import plan_graph
from jobs.models.head import standardise
from jobs.models.hyperparameters import Hyperparameters
from jobs.models.joining import FEATURES_TENSOR, join_head
from jobs.models.network import build_network
from jobs.models.sample_jpegs import sample_jpegs
from jobs.models.training import Samples, load_weights, predict
from jobs.tuning.trial import ModelDescription, TrialSpecification, checkpoint_path, run_trial
from tests.jobs.models.bodies import FEATURES, POOLED, SIDE, body_of_2015, encoded_body, pixel_body

POINT = Hyperparameters(layers=1, neurons=16, learning_rate=0.01, batch_size=7, dropout=0.25)
LINEAR = Hyperparameters(layers=0, learning_rate=0.01, batch_size=7, dropout=0)


def features(count: int, seed: int = 0) -> Samples:
    """Features of three classes, of very different scales; the last hardly varies."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, count)
    values = generator.normal(size=(count, 4)) * (1, 100, 0.01, 1e-6) + (5, 0, 0, 3)
    values[:, 2] += labels * 0.05
    return Samples(values.astype(np.float32), labels)


def test_features_are_standardised_by_what_is_given_and_one_that_hardly_varies_is_left_small() -> None:
    train = features(5000)
    network = build_network("head", LINEAR, (4,), 3)
    standardise(network, train.inputs)
    standardised = keras.Model(network.inputs, network.get_layer("standardisation").output)
    seen = standardised.predict(train.inputs, verbose=0)
    np.testing.assert_allclose(seen[:, :3].mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(seen[:, :3].std(axis=0), 1, atol=1e-3)
    assert np.abs(seen[:, 3]).max() < 1e-4, "rounding is not made large"
    assert network.trainable_variables == network.get_layer("logits").trainable_variables


def test_standardisation_is_that_of_the_training_split_alone_and_is_kept_with_the_weights(tmp_path: Path) -> None:
    train, held = features(300), features(90, seed=1)
    shifted = Samples(held.inputs + np.float32(1000), held.labels)
    description = ModelDescription("head", (4,), 3, epochs=12, seed=0, study_folder=tmp_path)
    outcomes = [
        run_trial(TrialSpecification(number, POINT, 0, 12), description, train, validation, 2, "here")
        for number, validation in enumerate((held, shifted))
    ]
    assert [outcome.reason for outcome in outcomes] == [None, None]
    assert outcomes[0].validation_accuracy > 0.9
    loaded = []
    for outcome in outcomes:
        network = build_network("head", POINT, (4,), 3)
        load_weights(network, checkpoint_path(tmp_path, outcome.number, 12))
        loaded.append(network)
    mean, variance = loaded[0].get_layer("standardisation").get_weights()
    np.testing.assert_allclose(mean, train.inputs.astype(np.float64).mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance[:3], train.inputs.astype(np.float64).var(axis=0)[:3], rtol=1e-5)
    for one, other in zip(*(network.get_weights() for network in loaded), strict=True):
        np.testing.assert_array_equal(one, other), "the validation split has no part in it"
    right = np.mean(predict(loaded[0], held.inputs) == held.labels)
    assert right == pytest.approx(outcomes[0].validation_accuracy, abs=1e-6)


@pytest.mark.parametrize("point", [POINT, POINT.model_copy(update={"ema_momentum": 0.5})])
def test_a_head_goes_on_from_its_checkpoint_as_if_it_had_never_paused(tmp_path: Path, point: Hyperparameters) -> None:
    train, held = features(200), features(60, seed=1)
    final = []
    for name, parts in (("whole", [(0, 6)]), ("paused", [(0, 2), (2, 6)])):
        description = ModelDescription("head", (4,), 3, 6, 0, tmp_path / name, rungs=(2.0, 6.0))
        for done, until in parts:
            assert not run_trial(TrialSpecification(0, point, done, until), description, train, held, 2, "here").reason
        with np.load(checkpoint_path(tmp_path / name, 0, 6)) as left:
            final.append({key: left[key] for key in left.files})
    for key, value in final[0].items():
        np.testing.assert_array_equal(value, final[1][key])


def test_a_head_without_layers_is_linear_and_dropout_reaches_the_features() -> None:
    linear = build_network("head", LINEAR, (4,), 3)
    assert [type(layer).__name__ for layer in linear.layers] == ["InputLayer", "BatchNormalization", "Dense"]
    dropped = build_network("head", POINT, (4,), 3)
    assert [layer.rate for layer in dropped.layers if isinstance(layer, keras.layers.Dropout)] == [0.25, 0.25]


def trained(point: Hyperparameters) -> keras.Model:
    """A head with weights of every kind that are not those it begins with."""
    keras.utils.set_random_seed(5)
    network = build_network("head", point, (FEATURES,), 3)
    standardise(network, np.random.default_rng(0).normal(1, 3, (50, FEATURES)).astype(np.float32))
    return network


def fetch(graph: bytes, fetched: str, fed: str, images: list[bytes]) -> np.ndarray:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(tf.compat.v1.GraphDef.FromString(graph), name="")
        return np.concatenate([session.run(fetched, {fed: one}).reshape(1, -1) for one in images])


@pytest.mark.parametrize("point", [LINEAR, POINT, POINT.model_copy(update={"batch_normalization": True})])
def test_the_joined_graph_gives_what_the_head_gives_on_the_features(point: Hyperparameters) -> None:
    body, network = encoded_body(), trained(point)
    given = fetch(body, f"{POOLED}:0", "DecodeJpeg/contents:0", sample_jpegs())
    expected = keras.ops.softmax(network(given, training=False)).numpy()
    joined = join_head(network, body, "DecodeJpeg/contents:0", POOLED, None)
    np.testing.assert_array_equal(fetch(joined, FEATURES_TENSOR, "DecodeJpeg/contents:0", sample_jpegs()), given)
    scores = fetch(joined, "softmax:0", "DecodeJpeg/contents:0", sample_jpegs())
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    plan = plan_graph(joined)
    assert plan.cut_tensor == "body/resized:0", "it is labelled with in batches"
    graph = load_graph(joined, plan)
    batch = graph.scores([graph.prepare(one) for one in sample_jpegs()])
    np.testing.assert_allclose(batch, expected, atol=1e-5)


def body_nodes(joined: bytes) -> list[str]:
    return [node.name for node in tf.compat.v1.GraphDef.FromString(joined).node if node.name.startswith("body/")]


def test_what_comes_after_the_features_is_left_out_even_if_it_would_not_be_needed() -> None:
    joined = join_head(trained(LINEAR), encoded_body(), "DecodeJpeg/contents:0", POOLED, None)
    names = body_nodes(joined)
    assert f"body/{POOLED}" in names

    def classify(pooled: tf.Tensor) -> None:
        tf.nn.softmax(tf.matmul(tf.reshape(pooled, (1, -1)), np.ones((FEATURES, 9), np.float32)), name="scores")

    cut = join_head(trained(LINEAR), encoded_body(classify), "DecodeJpeg/contents:0", POOLED, None)
    assert body_nodes(cut) == names


def test_a_graph_that_takes_pixels_gets_a_decoder_in_front() -> None:
    network, pixels = trained(POINT), PixelInput("pixels:0", False, SIDE, SIDE, 3, -1.0, 1.0)
    joined = join_head(network, pixel_body(), "atoll/encoded/contents:0", "vector:0", pixels)
    given = fetch(joined, FEATURES_TENSOR, "DecodeJpeg/contents:0", sample_jpegs())
    seen = [
        tf.image.resize(tf.io.decode_jpeg(one, channels=3)[None], (SIDE, SIDE)) / 127.5 - 1.0 for one in sample_jpegs()
    ]
    np.testing.assert_allclose(
        given, fetch(pixel_body(), "vector:0", "pixels:0", [one.numpy() for one in seen]), atol=1e-5
    )
    expected = keras.ops.softmax(network(given, training=False)).numpy()
    scores = fetch(joined, "softmax:0", "DecodeJpeg/contents:0", sample_jpegs())
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_a_joined_graph_can_be_the_body_of_another_head() -> None:
    first = join_head(trained(LINEAR), encoded_body(), "DecodeJpeg/contents:0", POOLED, None)
    second = join_head(trained(POINT), first, "DecodeJpeg/contents:0", FEATURES_TENSOR, None)
    given = fetch(first, FEATURES_TENSOR, "DecodeJpeg/contents:0", sample_jpegs())
    expected = keras.ops.softmax(trained(POINT)(given, training=False)).numpy()
    np.testing.assert_allclose(fetch(second, "softmax:0", "DecodeJpeg/contents:0", sample_jpegs()), expected, atol=1e-5)


def test_a_body_of_2015_is_joined_too() -> None:
    body, network = body_of_2015(scaled=True), trained(POINT)
    given = fetch(body, "normalised:0", "DecodeJpeg/contents:0", sample_jpegs())
    expected = keras.ops.softmax(network(given, training=False)).numpy()
    joined = join_head(network, body, "DecodeJpeg/contents:0", "normalised:0", None)
    frozen = load_graph(joined, plan_graph(joined))
    np.testing.assert_allclose(frozen.scores([frozen.prepare(one) for one in sample_jpegs()]), expected, atol=1e-5)


def test_a_body_that_writes_files_is_refused_before_it_is_joined(tmp_path: Path) -> None:
    def leak(pooled: tf.Tensor) -> None:
        tf.io.write_file(str(tmp_path / "leaked"), tf.io.serialize_tensor(pooled))

    with pytest.raises(InvalidGraphError, match="WriteFile"):
        join_head(trained(LINEAR), encoded_body(leak), "DecodeJpeg/contents:0", POOLED, None)
