"""The whole application on a real Spark session, with the stock graph and real photos."""

import json
import shutil
from pathlib import Path

import keras
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from jobs.errors import InvalidArgumentError, InvalidGraphError
from jobs.labelling.destination import Destination
from jobs.labelling.label import label_images
from jobs.labelling.publish import staged_folders
from jobs.labelling.sample import sample_positions
from jobs.labelling.schema import FEATURES, LABELS, QUARANTINE, with_carried
from tests.jobs.labelling.awkward_server import awkward_server

pytestmark = pytest.mark.spark


def rows(folder):
    return {row["image"]: row for row in pq.read_table(folder).to_pylist()}


def test_two_executors_of_a_cluster_label_photos_as_the_graph_does_one_at_a_time(
    spark_submit, cluster, stock, test_data, tmp_path
):
    done = spark_submit(
        *("label_images", *stock, "--images", test_data / "photos", "--output", tmp_path, "--batch-size", 5),
        conf={"spark.executor.cores": "1", "spark.executor.memory": "512m"},
        master=cluster.master,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    expected = json.loads((test_data / "stock" / "expected_top5.json").read_text())
    labels = rows(tmp_path / "labels")
    assert labels.keys() == expected.keys()
    for image, best in expected.items():
        got = labels[image]
        assert [one["label"] for one in got["top_k"]] == [one["label"] for one in best]
        assert [one["score"] for one in got["top_k"]] == pytest.approx([one["score"] for one in best], abs=1e-3)
        assert (got["label"], got["score"]) == (got["top_k"][0]["label"], got["top_k"][0]["score"])
    grace = labels["grace_hopper.jpg"]
    assert (grace["model_name"], grace["model_version"]) == ("mobilenet_v2_imagenet_frozen", None)
    assert pq.read_table(tmp_path / "quarantine").schema.equals(QUARANTINE)
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["images"], result["labelled"], result["quarantined"], result["reasons"]) == (12, 12, 0, {})
    assert grace["graph_sha256"] == result["graph_sha256"]
    assert len(list((tmp_path / "labels").glob("*.parquet"))) == 1, "one file of both tasks"
    assert sum(result["confidence"]) == sum(result["most_frequent"].values()) == 12
    assert result["distinct_labels"] == 10
    assert (result["source"], result["images_per_second"] > 0) == (str(test_data / "photos"), True)
    assert "in batches from ResizeBilinear:0" in done.stdout


def test_bad_images_go_to_quarantine_and_unusual_ones_are_labelled(request_for, stock, test_data, tmp_path):
    folder = tmp_path / "images" / "sub"
    shutil.copytree(test_data / "photos_bad", folder)
    request = request_for(
        *stock,
        "--images",
        folder.parent,
        "--image-set",
        "odd",
        "--date",
        "2026-03-01",
        "--top-k",
        2,
        "--workspace",
        tmp_path,
    )
    result = label_images(request)
    labels, quarantine = rows(result.labels), rows(result.quarantine)
    assert {name: row["reason"] for name, row in quarantine.items()} == {
        "sub/truncated.jpg": "unreadable",
        "sub/empty.jpg": "empty",
        "sub/text.jpg": "not_an_image",
        "sub/bomb_13000x13000.jpg": "too_large",
        "sub/bomb_20000x20000.jpg": "too_large",
    }
    assert "Invalid JPEG data" in quarantine["sub/truncated.jpg"]["detail"]
    assert labels.keys() == {f"sub/{name}.jpg" for name in ("png_named", "cmyk", "greyscale", "one_pixel")}
    assert labels["sub/png_named.jpg"]["label"] == "chickadee"
    assert (labels["sub/png_named.jpg"]["width"], labels["sub/png_named.jpg"]["height"]) == (256, 172)
    assert all(len(row["top_k"]) == 2 for row in labels.values())
    assert (result.labelled, result.reasons) == (
        4,
        {"too_large": 2, "empty": 1, "not_an_image": 1, "unreadable": 1},
    )
    assert result.labels == str(tmp_path / "labels/odd/ds=2026-03-01")


def test_a_set_of_only_bad_images_still_has_readable_labels(request_for, stock, test_data, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "empty.jpg").touch()
    result = label_images(request_for(*stock, "--images", tmp_path / "images", "--output", tmp_path / "out"))
    assert (result.labelled, result.quarantined) == (0, 1)
    assert pq.read_table(result.labels).schema.equals(LABELS)


def test_a_sample_is_staged_and_only_sure_labels_are_kept(request_for, stock, test_data, tmp_path):
    images = ("--images", test_data / "photos", "--output", tmp_path / "out")
    result = label_images(request_for(*stock, *images, "--sample", 4, "--min-score", 0.6, "--publish", "later"))
    assert not (tmp_path / "out" / "labels").exists(), "publishing is left to a later step"
    labels, quarantine = (
        rows(folder) for folder in staged_folders(Destination.in_folder(tmp_path / "out"), result.staged)
    )
    photos = sorted(path.name for path in (test_data / "photos").iterdir())
    assert sorted([*labels, *quarantine]) == [photos[at] for at in sample_positions(photos, 4)]
    expected = json.loads((test_data / "stock" / "expected_top5.json").read_text())
    sure = {image for image in (*labels, *quarantine) if expected[image][0]["score"] >= 0.6}
    assert labels.keys() == sure
    assert all(one["score"] >= 0.6 for row in labels.values() for one in row["top_k"])
    assert {row["reason"] for row in quarantine.values()} <= {"low_score"}
    assert (result.images, result.labelled, result.quarantined) == (4, len(labels), len(quarantine))


def test_a_damaged_graph_is_told_by_the_executor_in_one_line(request_for, stock, test_data, tmp_path):
    (tmp_path / "damaged.pb").write_bytes(stock[1].read_bytes()[:100_000])
    request = request_for(
        "--graph", tmp_path / "damaged.pb", *stock[2:], "--images", test_data / "photos", "--output", tmp_path / "out"
    )
    with pytest.raises(InvalidGraphError, match=r"^damaged: not a frozen GraphDef[^\n]*$"):
        label_images(request)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_labels_that_do_not_fit_the_graph_are_refused(request_for, stock, test_data, tmp_path):
    (tmp_path / "few.txt").write_text("cat\ndog\n")
    request = request_for(
        *stock[:2], "--labels", tmp_path / "few.txt", "--images", test_data / "photos", "--output", tmp_path / "out"
    )
    with pytest.raises(InvalidArgumentError, match=r"2 lines, but softmax:0 .* gives 1001"):
        label_images(request)


def test_urls_are_labelled_with_their_columns_and_what_a_server_does_wrong_is_told(
    request_for, stock, test_data, tmp_path
):
    photo = (test_data / "photos" / "bird.jpg").read_bytes()
    with awkward_server({"bird.jpg": photo}) as server:
        expected = {
            "/images/bird.jpg": None,
            "/busy/1/0/bird.jpg": None,
            "/reset/1/bird.jpg": None,
            "/html/": "not_an_image",
            "/declared/": "too_large",
            "/endless/": "too_large",
            "/stall/": "fetch_failed",
            "/loop/": "fetch_failed",
            "/to/?http://169.254.169.254/latest/": "fetch_failed",
            "/to/?http://10.0.0.1/": "fetch_failed",
            "/images/gone.jpg": "fetch_failed",
            "/drip/bird.jpg": "fetch_failed",
        }
        with (tmp_path / "list.csv").open("w") as file:
            file.write("url,product\n")
            file.writelines(f"{server.url(path)},{number}\n" for number, path in enumerate(expected))
        limits = ("--read-timeout", 0.5, "--fetch-timeout", 3, "--retries", 1, "--max-megabytes", 5)
        source = ("--image-list", tmp_path / "list.csv", "--carry", "product", "--allow-network", "127.0.0.1")
        result = label_images(request_for(*stock, *source, *limits, "--output", tmp_path / "out"))
        labels, quarantine = rows(result.labels), rows(result.quarantine)
        found = {**dict.fromkeys(labels), **{url: row["reason"] for url, row in quarantine.items()}}
        assert found == {server.url(path): reason for path, reason in expected.items()}
    assert {row["label"] for row in labels.values()} == {"chickadee"}
    assert {row["product"] for row in [*labels.values(), *quarantine.values()]} == set(range(len(expected)))
    assert sum(result.reasons.values()) == result.quarantined == len(quarantine)


def test_a_graph_that_cannot_take_batches_is_run_one_image_at_a_time_with_a_warning(
    request_for, test_data, tmp_path, caplog
):
    with tf.Graph().as_default() as graph:
        contents = tf.compat.v1.placeholder(tf.string, (), name="contents")
        image = tf.cast(tf.raw_ops.DecodeJpeg(contents=contents, channels=3), tf.float32)
        tf.nn.softmax(tf.reduce_mean(image, axis=(0, 1)) / 100, name="softmax")
    (tmp_path / "colour.pb").write_bytes(graph.as_graph_def().SerializeToString())
    (tmp_path / "colours.txt").write_text("red\ngreen\nblue\n")
    given = ("--graph", tmp_path / "colour.pb", "--labels", tmp_path / "colours.txt", "--reduced-decoding")
    result = label_images(request_for(*given, "--images", test_data / "photos", "--output", tmp_path / "out"))
    assert result.labelled == 12
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING" and record.name == "atoll"]
    assert "one image at a time: no tensor" in warning.message


def test_features_are_the_values_of_the_tensor_asked_for(request_for, stock, test_data, tmp_path):
    photos = [test_data / "photos" / "cat.jpg", test_data / "photos" / "bird.jpg", tmp_path / "gone.jpg"]
    (tmp_path / "list.csv").write_text(
        "path,product\n" + "".join(f"{path},{number}\n" for number, path in enumerate(photos))
    )
    given = ("--features", "pool_3/_reshape", "--image-list", tmp_path / "list.csv", "--carry", "product")
    result = label_images(request_for(*stock[:2], *given, "--output", tmp_path / "out"))
    assert result.labels == str(tmp_path / "out" / "features")
    assert pq.read_table(result.labels).schema.equals(with_carried(FEATURES, pa.schema([("product", pa.int64())])))
    assert (result.images, result.labelled, result.reasons) == (3, 2, {"fetch_failed": 1})
    assert (result.most_frequent, result.distinct_labels, result.confidence) == ({}, 0, [])
    features = {Path(image).name: row for image, row in rows(result.labels).items()}
    assert {image: row["product"] for image, row in features.items()} == {"cat.jpg": 0, "bird.jpg": 1}
    assert [row["product"] for row in rows(result.quarantine).values()] == [2]
    graph = tf.compat.v1.GraphDef.FromString(stock[1].read_bytes())
    with tf.Graph().as_default() as imported, tf.compat.v1.Session(graph=imported) as session:
        tf.import_graph_def(graph, name="")
        fed = {"DecodeJpeg/contents:0": (test_data / "photos" / "cat.jpg").read_bytes()}
        (expected,) = session.run("pool_3/_reshape:0", fed)
    assert features["cat.jpg"]["features"] == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_keras_file_that_takes_pixels_labels_images(request_for, test_data, tmp_path):
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Softmax()])
    network.save(tmp_path / "colour.keras")
    (tmp_path / "colours.txt").write_text("red\ngreen\nblue\n")
    given = ("--graph", tmp_path / "colour.keras", "--labels", tmp_path / "colours.txt", "--pixel-range", "0,1")
    result = label_images(request_for(*given, "--images", test_data / "photos", "--output", tmp_path / "out"))
    assert (result.labelled, result.model_name) == (12, "colour")
    image = tf.image.resize(tf.io.decode_jpeg((test_data / "photos" / "parrot.jpg").read_bytes()), (8, 8)) / 255
    expected = tf.nn.softmax(tf.reduce_mean(image, axis=(0, 1))).numpy()
    got = {one["label"]: one["score"] for one in rows(result.labels)["parrot.jpg"]["top_k"]}
    assert [got[colour] for colour in ("red", "green", "blue")] == pytest.approx(expected.tolist(), abs=1e-5)
