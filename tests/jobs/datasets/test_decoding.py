"""What a network is trained on is what its frozen graph will see: decoded, turned and resized by the same operations."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from jobs.datasets.decoding import decode_image, orientation
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
    "16-bit PNG": encode(Image.fromarray(np.asarray(PICTURE.convert("L")).astype(np.uint16) * 257), "PNG"),
}


def inside_the_frozen_graph(encoded: bytes, image_shape: tuple[int, int, int]) -> np.ndarray:
    """The images that a frozen graph hands to its network, values 0 to 255."""
    graph = freeze(build_network("mlp", POINT, image_shape, 3), image_shape)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(tf.compat.v1.GraphDef.FromString(graph), name="")
        return session.run("images:0", {"DecodeJpeg/contents:0": encoded})[0]


SHAPES = [(32, 48, 3), (32, 48, 1), (130, 90, 3)]
TAKEN = [
    (name, of) for name in FILES for of in SHAPES if (name, of[2]) != ("CMYK JPEG", 1)
]  # libjpeg makes no grey of it


@pytest.mark.parametrize(("name", "image_shape"), TAKEN, ids=str)
def test_the_prepared_image_is_the_frozen_graphs_rounded_to_whole_numbers(
    name: str, image_shape: tuple[int, int, int]
) -> None:
    prepared = decode_image(FILES[name], image_shape)
    assert (prepared.shape, prepared.dtype) == (image_shape, np.uint8)
    inner = inside_the_frozen_graph(FILES[name], image_shape)
    assert np.array_equal(prepared, np.rint(inner))


def test_an_image_of_the_trained_size_is_exactly_the_frozen_graphs() -> None:
    image_shape = (PICTURE.height, PICTURE.width, 3)
    for name in ("JPEG", "PNG"):
        prepared = decode_image(FILES[name], image_shape)
        assert np.array_equal(prepared, inside_the_frozen_graph(FILES[name], image_shape))
    assert np.array_equal(prepared, np.asarray(PICTURE))


def test_cmyk_becomes_grey_too() -> None:
    size = (PICTURE.height, PICTURE.width)
    colours = Image.fromarray(decode_image(FILES["CMYK JPEG"], (*size, 3)))
    grey = decode_image(FILES["CMYK JPEG"], (*size, 1))[:, :, 0]
    assert np.abs(grey.astype(int) - np.asarray(colours.convert("L"))).max() <= 1


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_image_is_turned_as_its_orientation_says(kind: str, turned: int) -> None:
    encoded = encode(PICTURE, kind, turned)
    assert orientation(encoded) == turned
    stored = tf.io.decode_image(encoded, channels=3).numpy()
    with_note = Image.fromarray(stored)
    with_note.getexif()[0x0112] = turned
    upright = ImageOps.exif_transpose(with_note)
    assert upright.size == (PICTURE.size if turned < 5 else PICTURE.size[::-1])
    expected = inside_the_frozen_graph(encode(upright, "PNG"), (32, 48, 3))
    assert np.array_equal(decode_image(encoded, (32, 48, 3)), np.rint(expected))


@pytest.mark.parametrize(
    "note", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"]
)
def test_a_broken_note_leaves_the_image_as_it_is(note: bytes) -> None:
    encoded = encode(PICTURE, "JPEG", exif=note)
    assert orientation(encoded) == 1
    assert np.array_equal(decode_image(encoded, (9, 7, 3)), decode_image(FILES["JPEG"], (9, 7, 3)))
    assert orientation(encode(PICTURE, "JPEG", 9)) == 1


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_a_file_that_ends_early_is_unreadable(name: str) -> None:
    with pytest.raises(ImageRejectedError, match=r"^unreadable: [^{\n]*Invalid [^{\n]*$"):
        decode_image(FILES[name][: len(FILES[name]) // 2], (8, 8, 3))
