"""What a network is trained on is what its frozen graph will see: decoded and resized by the same operations."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from jobs.datasets.decoding import decode_image
from jobs.labelling.rejection import ImageRejectedError
from jobs.models.freezing import freeze
from jobs.models.hyperparameters import Hyperparameters
from jobs.models.network import build_network
from tests.jobs.datasets.pictures import encode, shape

POINT = Hyperparameters(layers=1, neurons=2, learning_rate=0.01, batch_size=7, dropout=0)
PICTURE = shape("circle", 3)
CLEAR = PICTURE.convert("RGBA")
CLEAR.putalpha(Image.linear_gradient("L").resize(PICTURE.size))

FILES = {
    "JPEG": encode(PICTURE, "JPEG"),
    "progressive JPEG": encode(PICTURE, "JPEG", progressive=True, quality=60),
    "grey JPEG": encode(PICTURE.convert("L"), "JPEG"),
    "CMYK JPEG": encode(PICTURE.convert("CMYK"), "JPEG"),
    "PNG": encode(PICTURE, "PNG"),
    "grey PNG": encode(PICTURE.convert("L"), "PNG"),
    "transparent PNG": encode(CLEAR, "PNG"),
    "transparent grey PNG": encode(CLEAR.convert("LA"), "PNG"),
    "palette PNG": encode(PICTURE.convert("P"), "PNG"),
    "palette PNG with a transparent colour": encode(PICTURE.convert("P"), "PNG", transparency=0),
    "black and white PNG": encode(PICTURE.convert("1"), "PNG"),
    "JPEG that a camera wants turned": encode(PICTURE, "JPEG", orientation=6),
    "PNG that a camera wants turned": encode(PICTURE, "PNG", orientation=8),
    "16-bit PNG": encode(Image.fromarray(np.asarray(PICTURE.convert("L")).astype(np.uint16) * 257), "PNG"),
}


def inside_the_frozen_graph(encoded: bytes, image_shape: tuple[int, int, int]) -> np.ndarray:
    """The images that a frozen graph hands to its network, values 0 to 255."""
    graph = freeze(build_network("mlp", POINT, image_shape, 3), image_shape)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(tf.compat.v1.GraphDef.FromString(graph), name="")
        return session.run("images:0", {"DecodeJpeg/contents:0": encoded})[0]


SHAPES = [(32, 48, 3), (32, 48, 1), (130, 90, 3), (PICTURE.height, PICTURE.width, 3)]
TAKEN = [(name, of) for name in FILES for of in SHAPES if (name, of[2]) != ("CMYK JPEG", 1)]


@pytest.mark.parametrize(("name", "image_shape"), TAKEN, ids=str)
def test_the_prepared_image_is_what_the_frozen_graph_hands_to_its_network(
    name: str, image_shape: tuple[int, int, int]
) -> None:
    prepared = decode_image(FILES[name], image_shape)
    assert (prepared.shape, prepared.dtype) == (image_shape, np.uint8)
    assert np.array_equal(prepared, inside_the_frozen_graph(FILES[name], image_shape))


def test_an_image_of_the_trained_size_keeps_its_pixels() -> None:
    assert np.array_equal(decode_image(FILES["PNG"], (PICTURE.height, PICTURE.width, 3)), np.asarray(PICTURE))


def test_an_image_that_the_frozen_graph_cannot_decode_is_no_training_image() -> None:
    with pytest.raises(ImageRejectedError, match=r"^unreadable: "):
        decode_image(FILES["CMYK JPEG"], (32, 48, 1))
    with pytest.raises(tf.errors.InvalidArgumentError):
        inside_the_frozen_graph(FILES["CMYK JPEG"], (32, 48, 1))


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_a_file_that_ends_early_is_unreadable(name: str) -> None:
    with pytest.raises(ImageRejectedError, match=r"^unreadable: [^{\n]*Invalid [^{\n]*$"):
        decode_image(FILES[name][: len(FILES[name]) // 2], (8, 8, 3))
