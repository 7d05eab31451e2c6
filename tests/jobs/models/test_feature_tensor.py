"""A tensor that does not give one vector for each image is refused with those that would."""

import re
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from jobs.errors import InvalidGraphError
from jobs.models.feature_tensor import UnsuitableTensorError, check_feature_tensor
from jobs.models.graph_plan import PixelFormat
from jobs.models.saved_model import freeze_keras
from jobs.workspace import REPOSITORY
from tests.jobs.models.bodies import FEATURES, POOLED, encoded_body, pixel_body

ANY = PixelFormat()


def classified(pooled: tf.Tensor) -> None:
    flat = tf.reshape(pooled, (1, FEATURES), name="flat")
    scores = tf.nn.softmax(tf.matmul(flat, tf.ones((FEATURES, 9))), name="classes")
    tf.argmax(scores, axis=1, name="best")


@pytest.mark.parametrize("tensor", [POOLED, f"{POOLED}:0", "flat"])
def test_a_vector_for_each_image_is_accepted_whatever_dimensions_of_one_it_has(tensor: str) -> None:
    check_feature_tensor(encoded_body(classified), tensor, None, ANY)


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        ("pool_9:0", "no such tensor in the graph; accepted: one vector for each image"),
        ("resized", "an image gives float32 of shape (1, 8, 8, 3); accepted: one vector of float32 for each, such as"),
        ("DecodeJpeg:0", "an image gives uint8 of shape (64, 96, 3); accepted: one vector of float32 for each"),
        ("best", "an image gives int64 of shape (1,); accepted: one vector of float32"),
        ("resized:7", "an ordinary JPEG does not give it: "),
    ],
)
def test_another_tensor_is_refused_with_its_shape(tensor: str, said: str) -> None:
    with pytest.raises(UnsuitableTensorError, match=f"^{re.escape(said)}"):
        check_feature_tensor(encoded_body(classified), tensor, None, ANY)


def test_what_would_do_is_named_with_how_many_numbers_it_has(test_data: Path) -> None:
    stock = (test_data / "stock" / "mobilenet_v2_imagenet_frozen.pb").read_bytes()
    with pytest.raises(UnsuitableTensorError) as told:
        check_feature_tensor(stock, "pool_4:0", None, ANY)
    page = (REPOSITORY / "docs" / "adding-an-experiment.md").read_text()
    assert f"dataset.tensor: 'pool_4:0' of /data/graph.pb: {told.value}\n" in page
    with pytest.raises(UnsuitableTensorError, match=r"shape \(1, 224, 224, 3\); .*pool_3/_reshape:0 \(1280\)"):
        check_feature_tensor(stock, "Mul", None, ANY)


def test_a_graph_that_takes_pixels_is_tried_with_what_is_said_of_them() -> None:
    check_feature_tensor(pixel_body(), "vector", None, PixelFormat(range=(-1.0, 1.0)))
    with pytest.raises(InvalidGraphError, match="say the values of black and white with --pixel-range"):
        check_feature_tensor(pixel_body(), "vector", None, ANY)


def test_a_network_of_keras_without_its_last_layer_gives_features_at_its_only_output(tmp_path: Path) -> None:
    network = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(5, 3), keras.layers.GlobalAveragePooling2D()]
    )
    network.save(tmp_path / "body.keras")
    fed = PixelFormat(range=(-1.0, 1.0), size=(24, 24))
    check_feature_tensor(freeze_keras(tmp_path / "body.keras"), "softmax:0", None, fed)
    with pytest.raises(UnsuitableTensorError, match=r"accepted: one vector for each image: here .*softmax:0 \(5\)"):
        check_feature_tensor(freeze_keras(tmp_path / "body.keras"), "pool", None, fed)


def test_a_hostile_graph_is_refused_before_it_is_tried(tmp_path: Path) -> None:
    def leak(pooled: tf.Tensor) -> None:
        with tf.control_dependencies([tf.io.write_file(str(tmp_path / "leaked"), "leaked")]):
            tf.reshape(pooled, (1, FEATURES), name="vector")

    with pytest.raises(InvalidGraphError, match="WriteFile"):
        check_feature_tensor(encoded_body(leak), "vector", None, ANY)
    assert not (tmp_path / "leaked").exists()
