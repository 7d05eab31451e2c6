"""Frozen graphs are refused, split and run as their contract says; on the real stock graph and on small ones made here."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from jobs.errors import InvalidGraphError
from jobs.models import frozen_graph
from jobs.models.frozen_graph import FrozenGraph, ImageDecodeError, load_graph
from jobs.models.graph_plan import GraphPlan
from jobs.models.graph_planning import plan_graph
from jobs.models.graph_reading import read_graph
from jobs.models.graph_split import unpinned_shape
from jobs.models.sample_jpegs import sample_jpegs

SIDE, CLASSES = 8, 4


@pytest.fixture(scope="module")
def stock_graph(test_data):
    return (test_data / "stock" / "mobilenet_v2_imagenet_frozen.pb").read_bytes()


@pytest.fixture(scope="module")
def photos(test_data):
    return test_data / "photos"


def graph_of(classify, *, shape=()):
    """Serialises a graph whose one input, `contents`, goes through `classify`."""
    with tf.Graph().as_default() as graph:
        classify(tf.compat.v1.placeholder(tf.string, shape, name="contents"))
    return graph.as_graph_def().SerializeToString()


def resized(contents):
    image = tf.cast(tf.raw_ops.DecodeJpeg(contents=contents, channels=3), tf.float32)
    return tf.raw_ops.ResizeBilinear(images=tf.expand_dims(image, 0), size=(SIDE, SIDE), name="resized") / 255.0


def dense(flat):
    weights = np.random.default_rng(1).normal(size=(flat.shape[-1], CLASSES)).astype(np.float32)
    return tf.matmul(flat, weights) / 10


def one_at_a_time(content, plan, images):
    whole = FrozenGraph(
        read_graph(content), GraphPlan(plan.sha256, plan.input_tensor, plan.output_tensor, None, plan.classes)
    )
    return whole.scores([whole.prepare(image) for image in images])


def jpeg(colour):
    encoded = io.BytesIO()
    Image.new("RGB", (20, 30), colour).save(encoded, "JPEG")
    return encoded.getvalue()


def test_the_stock_graph_is_split_where_sizes_become_equal(stock_graph):
    plan = plan_graph(stock_graph)
    assert (plan.input_tensor, plan.cut_tensor, plan.output_tensor) == (
        "DecodeJpeg/contents:0",
        "ResizeBilinear:0",
        "softmax:0",
    )
    assert plan.classes == 1001
    assert "in batches from ResizeBilinear:0" in plan.describe()


def test_batches_of_the_stock_graph_equal_one_image_at_a_time(stock_graph, photos):
    plan = plan_graph(stock_graph)
    graph = load_graph(stock_graph, plan)
    images = [path.read_bytes() for path in sorted(photos.iterdir())]
    batched = graph.scores([graph.prepare(image) for image in images])
    np.testing.assert_allclose(batched, one_at_a_time(stock_graph, plan, images), rtol=0, atol=1e-5)


def test_a_graph_is_imported_once_per_process(stock_graph, monkeypatch):
    plan = plan_graph(stock_graph)
    first = load_graph(stock_graph, plan)
    monkeypatch.setattr(frozen_graph, "FrozenGraph", None)
    assert load_graph(stock_graph, plan) is first


def test_a_partial_batch_is_not_traced_again(stock_graph):
    graph = load_graph(stock_graph, plan_graph(stock_graph))
    prepared = [graph.prepare(sample) for sample in sample_jpegs()]
    traced = []
    imported = tf.import_graph_def
    try:
        tf.import_graph_def = lambda *given, **named: traced.append(given) or imported(*given, **named)
        assert [graph.scores(prepared[:size]).shape[0] for size in (4, 3, 1)] == [4, 3, 1]
    finally:
        tf.import_graph_def = imported
    assert traced == []


def test_pixels_give_what_a_png_of_them_gives(stock_graph, photos):
    graph = load_graph(stock_graph, plan_graph(stock_graph))
    pixels = np.asarray(Image.open(photos / "cat.jpg").convert("RGB"))
    assert graph.takes_pixels
    for view in (pixels, pixels[:, ::-1], pixels.swapaxes(0, 1)[::-1], pixels[:7, :5]):
        encoded = io.BytesIO()
        Image.fromarray(view).save(encoded, "PNG")
        np.testing.assert_array_equal(graph.prepare_pixels(view), graph.prepare(encoded.getvalue()))


def decoded_otherwise(decode):
    def classify(contents):
        image = tf.cast(decode(contents), tf.float32)
        small = tf.raw_ops.ResizeBilinear(images=tf.expand_dims(image, 0), size=(SIDE, SIDE))
        tf.nn.softmax(dense(tf.reshape(small, (1, -1))), name="softmax")

    return graph_of(classify)


@pytest.mark.parametrize(
    "decode",
    [
        lambda contents: tf.raw_ops.DecodeJpeg(contents=contents, channels=1),
        lambda contents: tf.raw_ops.DecodeJpeg(contents=contents, channels=3, ratio=2),
        lambda contents: tf.raw_ops.DecodePng(contents=contents, channels=3, dtype=tf.uint16),
        lambda contents: (
            tf.raw_ops.DecodeJpeg(contents=contents, channels=3)
            + tf.cast(tf.raw_ops.ExtractJpegShape(contents=contents)[0] // 255, tf.uint8)
        ),
    ],
    ids=["one channel", "reduced", "16 bits", "two decoders"],
)
def test_a_graph_whose_decoder_is_not_all_that_it_takes_of_an_image_takes_no_pixels(decode):
    content = decoded_otherwise(decode)
    graph = load_graph(content, plan_graph(content))
    assert graph.plan.cut_tensor
    assert not graph.takes_pixels


@pytest.mark.parametrize("pinned", [(1, SIDE * SIDE * 3), (1, -1)], ids=["by its size", "by -1"])
def test_a_reshape_pinned_to_one_image_is_rewritten(pinned):
    content = graph_of(lambda contents: tf.nn.softmax(dense(tf.reshape(resized(contents), pinned)), name="softmax"))
    plan = plan_graph(content)
    assert plan.cut_tensor == "resized:0"
    images = [jpeg(colour) for colour in ("red", "green", "blue")]
    graph = load_graph(content, plan)
    batched = graph.scores([graph.prepare(image) for image in images])
    assert np.ptp(batched, axis=0).max() > 0.01  # the pictures do differ
    np.testing.assert_allclose(batched, one_at_a_time(content, plan, images), atol=1e-5)


@pytest.mark.parametrize(
    ("target", "incoming", "expected"),
    [
        ([1, 12], [1, 2, 2, 3], [-1, 12]),
        ([1, -1], [1, 2, 2, 3], [-1, 12]),
        ([1, -1], [None, 2, 2, 3], [-1, 12]),
        ([1, 4, -1], [1, 2, 2, 3], [-1, 4, 3]),
        ([1, -1], [1, None, 2, 3], None),
        ([-1, 12], [1, 2, 2, 3], None),
        ([1, 6], [1, 2, 2, 3], None),
        ([1, 12], [2, 2, 3], None),
        ([12], [1, 12], None),
    ],
)
def test_only_a_shape_that_pins_the_batch_is_rewritten(target, incoming, expected):
    assert unpinned_shape(target, incoming) == expected


def test_a_graph_that_mixes_the_images_of_a_batch_is_fed_one_at_a_time():
    def classify(contents):
        batch = tf.compat.v1.placeholder_with_default(resized(contents), (None, SIDE, SIDE, 3))
        logits = dense(tf.reshape(batch, (-1, SIDE * SIDE * 3)))
        tf.nn.softmax(logits - tf.reduce_mean(logits, axis=0, keepdims=True) * 0.5, name="softmax")

    content = graph_of(classify)
    plan = plan_graph(content)
    images = [jpeg(colour) for colour in ("red", "green", "blue")]
    graph = load_graph(content, plan)
    np.testing.assert_allclose(
        graph.scores([graph.prepare(image) for image in images]), one_at_a_time(content, plan, images), atol=1e-6
    )
    assert plan.cut_tensor is None
    assert "one image at a time: at " in plan.describe()


def test_a_graph_without_a_tensor_of_fixed_shape_is_fed_one_at_a_time():
    def classify(contents):
        image = tf.cast(tf.raw_ops.DecodeJpeg(contents=contents, channels=3), tf.float32)
        tf.nn.softmax(tf.reduce_mean(image, axis=(0, 1)), name="softmax")

    plan = plan_graph(graph_of(classify))
    assert plan.cut_tensor is None
    assert plan.classes == 3
    assert "fixed shape" in plan.describe()


def test_a_path_around_a_tensor_keeps_the_graph_from_being_cut_there():
    def classify(contents):
        image = tf.cast(tf.raw_ops.DecodeJpeg(contents=contents, channels=3), tf.float32)
        small = tf.raw_ops.ResizeBilinear(images=tf.expand_dims(image, 0), size=(SIDE, SIDE), name="small")
        logits = dense(tf.reshape(small, (-1, SIDE * SIDE * 3))) / 255
        tf.nn.softmax(logits + tf.reduce_mean(image), name="softmax")

    assert plan_graph(graph_of(classify)).cut_tensor not in ("small:0", None)


@pytest.mark.parametrize("size", [0, 11, 5000])
def test_a_file_that_is_not_a_graph_is_refused_in_one_line(size):
    with pytest.raises(InvalidGraphError, match=r"^[^\n]*GraphDef[^\n]*$"):
        plan_graph(b"hello world" * (size // 11))


def test_an_operation_that_reads_files_is_refused():
    def classify(contents):
        tf.nn.softmax(dense(tf.reshape(resized(tf.io.read_file(contents)), (1, -1))), name="softmax")

    with pytest.raises(InvalidGraphError, match="ReadFile"):
        plan_graph(graph_of(classify))


def test_an_operation_hidden_in_a_library_function_is_refused():
    @tf.function
    def leak(contents):
        tf.io.write_file("leaked", contents)
        return contents

    def classify(contents):
        tf.nn.softmax(dense(tf.reshape(resized(leak(contents)), (1, -1))), name="softmax")

    with pytest.raises(InvalidGraphError, match="WriteFile"):
        plan_graph(graph_of(classify))


def test_the_input_may_be_a_constant_or_have_a_default():
    def constant(_):
        tf.nn.softmax(dense(tf.reshape(resized(tf.constant(b"", name="jpeg")), (1, -1))), name="softmax")

    def default(_):
        fed = tf.compat.v1.placeholder_with_default(tf.constant(b""), (), name="jpeg")
        tf.nn.softmax(dense(tf.reshape(resized(fed), (1, -1))), name="softmax")

    for classify in (constant, default):
        assert plan_graph(graph_of(classify)).input_tensor == "jpeg:0"


def test_without_softmax_the_error_names_the_candidates_and_one_of_them_can_be_asked_for():
    content = graph_of(lambda contents: tf.identity(dense(tf.reshape(resized(contents), (1, -1))), name="final_result"))
    with pytest.raises(InvalidGraphError, match="candidates: final_result:0"):
        plan_graph(content)
    assert plan_graph(content, output_tensor="final_result").output_tensor == "final_result:0"


def test_a_graph_that_decodes_no_image_is_refused():
    def classify(_):
        pixels = tf.compat.v1.placeholder(tf.float32, (1, 12), name="pixels")
        tf.nn.softmax(dense(pixels), name="softmax")

    with pytest.raises(InvalidGraphError, match="decodes no image"):
        plan_graph(graph_of(classify))


def test_a_graph_with_a_second_input_is_refused_by_its_name():
    def classify(contents):
        keep = tf.compat.v1.placeholder(tf.float32, (), name="keep_probability")
        tf.nn.softmax(dense(tf.reshape(resized(contents), (1, -1))) * keep, name="softmax")

    with pytest.raises(InvalidGraphError, match="keep_probability"):
        plan_graph(graph_of(classify))


def test_a_graph_that_takes_a_list_of_images_is_refused():
    def classify(contents):
        tf.nn.softmax(dense(tf.reshape(resized(contents), (1, -1))), name="softmax")

    content = graph_of(classify)
    graph = read_graph(content)
    next(node for node in graph.node if node.name == "contents").attr["shape"].shape.dim.add(size=-1)
    with pytest.raises(InvalidGraphError, match="not a scalar string"):
        plan_graph(graph.SerializeToString())


def test_an_image_that_cannot_be_decoded_is_told_by_tensorflows_own_line(stock_graph, photos):
    graph = load_graph(stock_graph, plan_graph(stock_graph))
    encoded = (photos / "hot_dog.jpg").read_bytes()
    with pytest.raises(ImageDecodeError, match=r"^[^\n]*Invalid JPEG[^\n]*$"):
        graph.prepare(encoded[: len(encoded) // 2])


@pytest.mark.parametrize(
    ("leak", "named"),
    [
        (lambda contents: tf.io.read_file(contents), "ReadFile"),
        (lambda contents: tf.numpy_function(lambda given: given, [contents], tf.string), "PyFunc"),
        (lambda contents: tf.py_function(lambda given: given, [contents], tf.string), "EagerPyFunc"),
    ],
)
def test_hostile_operations_are_refused_at_any_depth_of_the_library(leak, named):
    @tf.function
    def inner(contents):
        return tf.ensure_shape(leak(contents), ())

    @tf.function
    def outer(contents):
        return tf.cond(tf.strings.length(contents) > 3, lambda: inner(contents), lambda: contents)

    content = graph_of(
        lambda contents: tf.nn.softmax(dense(tf.reshape(resized(outer(contents)), (1, -1))), name="softmax")
    )
    with pytest.raises(InvalidGraphError, match=rf"operation not allowed: .*{named} \(node "):
        plan_graph(content)


def library_of(calls):
    """A graph with functions that call each other."""
    graph = tf.compat.v1.GraphDef()
    graph.node.add(name="start", op="NoOp")
    for name, called in calls.items():
        function = graph.library.function.add()
        function.signature.name = name
        for number, other in enumerate(called):
            function.node_def.add(name=f"call{number}", op="PartitionedCall").attr["f"].func.name = other
    return graph


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ({"f": ["f"]}, "function f calls itself"),
        ({"f": ["g"], "g": ["h"], "h": ["g"]}, "function g calls itself"),
        ({f"f{n}": [f"f{n + 1}"] for n in range(150)}, "more than 100 functions call each other in a chain"),
        ({f"f{n}": [f"f{n + 1}"] for n in reversed(range(150))}, "more than 100 functions call each other in a chain"),
        ({f"f{n}": [f"f{n + 1}"] * 2 for n in range(60)}, "more than 1000000 operations with those of its functions"),
    ],
    ids=["itself", "a circle", "a chain", "its end first", "an avalanche"],
)
def test_functions_that_come_to_no_end_are_refused_before_tensorflow_sees_them(calls, said):
    graph = library_of(calls | {"last": []})
    with pytest.raises(InvalidGraphError, match=said):
        read_graph(graph.SerializeToString())


def test_a_function_that_is_called_by_what_it_is_given_to_is_refused():
    graph = library_of({"f": ["g"], "g": []})
    graph.library.function[0].node_def[0].attr["f"].func.attr["then"].func.name = "f"
    with pytest.raises(InvalidGraphError, match="function f calls itself"):
        read_graph(graph.SerializeToString())


def test_functions_within_functions_are_accepted():
    graph = library_of({f"f{n}": [f"f{n + 1}"] * 2 for n in range(12)} | {"f12": []})
    assert len(read_graph(graph.SerializeToString()).library.function) == 13


def test_a_function_that_takes_the_name_of_an_operation_does_not_make_it_allowed():
    graph = read_graph(
        graph_of(lambda contents: tf.nn.softmax(dense(tf.reshape(resized(contents), (1, -1))), name="softmax"))
    )
    graph.library.function.add().signature.name = "ReadFile"
    graph.node.add(name="hidden", op="ReadFile")
    with pytest.raises(InvalidGraphError, match=r"ReadFile \(node hidden\)"):
        plan_graph(graph.SerializeToString())
