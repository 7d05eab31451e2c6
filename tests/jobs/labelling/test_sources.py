"""Listing the images of a folder, of a list and of a Parquet column, and reading them back."""

import csv
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.errors import InvalidArgumentError, InvalidImageSetError
from jobs.labelling.fetching.settings import FetchSettings
from jobs.labelling.rejection import ImageRejectedError
from jobs.labelling.sources.encoded_column import EncodedColumn
from jobs.labelling.sources.folder import FolderOfImages
from jobs.labelling.sources.image_list import ListOfImages
from jobs.labelling.sources.image_set import carried_columns, printable, unpacked

MODEL = ("--graph", "g.pb", "--labels", "l.txt", "--output", "out")


def list_of(file, column=None, *carry):
    return ListOfImages(str(file), column, carry, FetchSettings())


def contents(images, partitions=1, limit=1000):
    """Reads a whole set as the executors do."""
    found = {}
    for part in images.partitions(partitions):
        for image in images.reading.open(unpacked(part)):
            try:
                found[image.name] = image.read(limit)
            except ImageRejectedError as rejected:
                found[image.name] = rejected.reason
    return found


@pytest.fixture
def folder(tmp_path):
    for name in (
        "b.jpg",
        "a/z.jpeg",
        "a/deep/er.JPG",
        "a/notes.txt",
        "a/.hidden",
        "_SUCCESS",
        ".DS_Store",
        "_tmp/c.jpg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def test_images_are_named_relative_to_their_folder_and_hidden_ones_are_skipped(folder):
    images = FolderOfImages(str(folder)).load()
    names = ["a/deep/er.JPG", "a/notes.txt", "a/z.jpeg", "b.jpg"]
    assert list(images.names()) == names
    assert contents(images, partitions=3) == {name: name.encode() for name in names}


def test_a_folder_may_be_named_by_a_url(folder):
    assert contents(FolderOfImages(f"file://{folder}", ("b*",)).load()) == {"b.jpg": b"b.jpg"}


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (("*.jpg",), ["b.jpg"]),
        (("*.jp*g", "*.JPG"), ["a/deep/er.JPG", "a/z.jpeg", "b.jpg"]),
        (("a/*",), ["a/notes.txt", "a/z.jpeg"]),
        (("a/**/*.[jJ]*",), ["a/deep/er.JPG", "a/z.jpeg"]),
    ],
)
def test_patterns_choose_files_by_name_or_by_path(folder, patterns, names):
    assert list(FolderOfImages(str(folder), patterns).load().names()) == names


def test_a_pattern_that_nothing_matches_is_an_error_that_names_a_file(folder):
    with pytest.raises(InvalidImageSetError, match=r"none of its 4 files matches \*.png, such as a/deep/er.JPG"):
        FolderOfImages(str(folder), ("*.png",)).load()


@pytest.mark.parametrize("what", ["missing", "empty", "only_hidden", "file", "nosuch://folder", "https://host/folder"])
def test_a_folder_without_images_is_an_error_that_names_it(tmp_path, what):
    (tmp_path / "empty").mkdir()
    (tmp_path / "only_hidden").mkdir()
    (tmp_path / "only_hidden" / "_SUCCESS").touch()
    (tmp_path / "file").touch()
    with pytest.raises(InvalidImageSetError, match=what):
        FolderOfImages(what if "://" in what else str(tmp_path / what)).load()


def test_an_image_that_is_gone_is_fetch_failed_and_a_large_one_is_not_read_to_its_end(folder):
    images = FolderOfImages(str(folder), ("*.jpeg", "b.jpg")).load()
    (folder / "b.jpg").unlink()
    (folder / "a/z.jpeg").write_bytes(b"x" * 11)
    assert contents(images, limit=10) == {"b.jpg": "fetch_failed", "a/z.jpeg": "too_large"}


def test_a_file_name_that_is_not_utf8_is_found_again_and_can_be_written(tmp_path):
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    (tmp_path / name).write_bytes(b"x")
    assert contents(FolderOfImages(str(tmp_path)).load()) == {"caf\\xe9.jpg": b"x"}
    assert printable(name) == "caf\\xe9.jpg"


def test_a_text_file_lists_paths_relative_to_it_and_absolute_ones(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "x.jpg"
    elsewhere.write_bytes(b"x")
    file = folder / "list.txt"
    file.write_bytes(f"\ufeffb.jpg\r\n\n  {elsewhere}\n{elsewhere.as_uri()}\nnowhere.jpg".encode())
    assert contents(list_of(file).load()) == {
        "b.jpg": b"b.jpg",
        str(elsewhere): b"x",
        elsewhere.as_uri(): b"x",
        "nowhere.jpg": "fetch_failed",
    }


@pytest.mark.parametrize(("line", "at_once", "fewest"), [("a.jpg", None, 128), ("http://host/a.jpg", 64, 1024)])
def test_what_waits_for_a_network_is_read_many_at_once_and_in_large_partitions(tmp_path, line, at_once, fewest):
    (tmp_path / "list.txt").write_text(line)
    images = list_of(tmp_path / "list.txt").load()
    assert (images.reading.at_once, images.smallest_partition) == (at_once, fewest)


@pytest.mark.parametrize("place", ["ftp://host/a.jpg", "simplecache::http://127.0.0.1/", "zip://x.zip", "memory://a"])
def test_a_list_cannot_reach_for_services_that_are_no_storage(tmp_path, place):
    (tmp_path / "list.txt").write_text(place)
    assert contents(list_of(tmp_path / "list.txt").load()) == {place: "fetch_failed"}


def test_what_is_no_regular_file_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe.jpg")
    (folder / "round").symlink_to("..", target_is_directory=True)
    (folder / "link.jpg").symlink_to("link.jpg")
    found = contents(FolderOfImages(str(folder), ("pipe*", "round*", "link*")).load())
    assert found == {"pipe.jpg": "fetch_failed", "round": "fetch_failed", "link.jpg": "fetch_failed"}
    (folder / "list.txt").write_text(f"{folder}/pipe.jpg\nfile://{folder}/pipe.jpg\n/dev/zero\n/dev/tty\n{folder}\n")
    assert set(contents(list_of(folder / "list.txt").load()).values()) == {"fetch_failed"}


def test_a_password_in_a_url_goes_to_its_server_and_into_no_row(tmp_path):
    urls = [
        "https://me:secret@host/a.jpg",
        "HTTP://me@host:8/b.jpg?x=@y",
        "s3://key:secret@bucket/c.jpg",
        "https://host/@d",
    ]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    images = list_of(tmp_path / "list.txt").load()
    assert list(images.names()) == [
        "https://host/a.jpg",
        "HTTP://host:8/b.jpg?x=@y",
        "s3://bucket/c.jpg",
        "https://host/@d",
    ]
    assert [one.as_py().decode() for one in images.images["_location"]] == urls


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_carries_columns_through_with_their_types(folder, suffix):
    rows = [("b.jpg", 1, "one, two"), ("a/z.jpeg", 2, "three\nlines"), ("", 3, None)]
    file = folder / f"list.{suffix}"
    if suffix == "csv":
        with file.open("w", newline="") as opened:
            csv.writer(opened).writerows([("shop", "place", "number", "note"), *(("s", *row) for row in rows)])
    else:
        columns = dict(zip(("place", "number", "note"), map(list, zip(*rows, strict=True)), strict=True))
        pq.write_table(pa.table({"shop": ["s"] * 3, **columns}), file)
    images = list_of(file, "place", "number", "note").load()
    assert contents(images, partitions=2) == {
        "b.jpg": b"b.jpg",
        "a/z.jpeg": b"a/z.jpeg",
        f"list.{suffix}, row 3": "fetch_failed",
    }
    assert images.carried == pa.schema({"number": pa.int64(), "note": pa.string()})
    assert carried_columns(images.images).to_pylist()[1] == {"number": 2, "note": "three\nlines"}


def test_the_column_is_found_where_there_is_no_doubt(tmp_path):
    (tmp_path / "one.csv").write_text("whatever\na.jpg\n")
    (tmp_path / "named.csv").write_text("id,url\n1,a.jpg\n")
    for name in ("one", "named"):
        assert list(list_of(tmp_path / f"{name}.csv").load().names()) == ["a.jpg"]


@pytest.mark.parametrize(
    ("name", "content", "column", "carry", "message"),
    [
        ("l.txt", "", None, (), "names no image"),
        ("l.txt", "a.jpg", "url", (), "--column: a text file has no columns"),
        ("l.xlsx", "a", None, (), r"ends in .xlsx; accepted: .*\.csv"),
        ("l.csv", "a,b\n1,2\n", None, (), "which column .* a, b"),
        ("l.csv", "a,b\n1,2\n", "c", (), "no column 'c'; accepted: a, b"),
        ("l.csv", "a,b\n1,2\n", "a", ("d",), "no column 'd'; accepted: a, b"),
        ("l.csv", "a,b\n1,2\n3\n", "a", ("b",), "Expected 2 columns, got 1"),
        ("l.parquet", "no parquet", None, (), "l.parquet: .*accepted"),
    ],
)
def test_a_list_that_cannot_be_read_is_an_error_that_says_why(tmp_path, name, content, column, carry, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidImageSetError, match=message):
        list_of(tmp_path / name, column, *carry).load()


def test_a_column_of_numbers_does_not_name_images(tmp_path):
    pq.write_table(pa.table({"image": [1, 2]}), tmp_path / "l.parquet")
    with pytest.raises(InvalidImageSetError, match="column 'image' holds int64"):
        list_of(tmp_path / "l.parquet").load()


@pytest.fixture
def parquet(tmp_path):
    """Two files, of 25 and 3 rows, in row groups of 10."""
    place = tmp_path / "shards"
    place.mkdir()
    for name, first, rows in (("a", 0, 25), ("b", 25, 3)):
        numbers = range(first, first + rows)
        encoded = [f"image {number}".encode() for number in numbers]
        table = {
            "id": [f"i{n}" for n in numbers],
            "jpeg": encoded,
            "in": [{"bytes": one} for one in encoded],
            "n": numbers,
        }
        table["n"] = list(numbers)
        pq.write_table(pa.table(table), place / f"{name}.parquet", row_group_size=10)
    return place


@pytest.mark.parametrize("partitions", [1, 3, 28])
@pytest.mark.parametrize("column", ["jpeg", "in.bytes"])
def test_a_column_of_bytes_is_read_whatever_the_partitions(parquet, partitions, column):
    images = EncodedColumn(str(parquet), column, "id", ("n",)).load()
    assert contents(images, partitions) == {f"i{number}": f"image {number}".encode() for number in range(28)}
    assert carried_columns(images.images).to_pylist()[27] == {"n": 27}


def test_encoded_images_without_names_are_named_by_file_and_row(parquet):
    images = EncodedColumn(f"file://{parquet}/b.parquet", "jpeg", None, ()).load()
    assert contents(images) == {f"b.parquet#{row}": f"image {25 + row}".encode() for row in range(3)}


def test_null_and_large_bytes_are_rejected(tmp_path):
    pq.write_table(pa.table({"jpeg": [b"x", None, b"y" * 11]}), tmp_path / "p.parquet")
    images = EncodedColumn(str(tmp_path / "p.parquet"), "jpeg", None, ()).load()
    assert list(contents(images, limit=10).values()) == [b"x", "empty", "too_large"]


def test_a_damaged_row_group_rejects_its_images_and_no_others(tmp_path):
    file = tmp_path / "p.parquet"
    encoded = [bytes([number]) * 1000 for number in range(30)]
    pq.write_table(pa.table({"jpeg": encoded}), file, row_group_size=10, use_dictionary=False, compression="none")
    start = pq.ParquetFile(file).metadata.row_group(1).column(0).data_page_offset
    images = EncodedColumn(str(file), "jpeg", None, ()).load()
    damaged = bytearray(file.read_bytes())
    damaged[start : start + 16] = b"\xff" * 16
    file.write_bytes(damaged)
    found = list(contents(images, partitions=2).values())
    assert found == [*encoded[:10], *["fetch_failed"] * 10, *encoded[20:]]


@pytest.mark.parametrize(
    ("column", "name", "message"),
    [
        ("nothing", None, "no column 'nothing'"),
        ("id", None, "holds string"),
        ("in", None, "holds struct"),
        ("jpeg", "x", "'x'"),
    ],
)
def test_a_column_that_holds_no_images_is_an_error(parquet, column, name, message):
    with pytest.raises(InvalidImageSetError, match=message):
        EncodedColumn(str(parquet), column, name, ()).load()


def test_a_day_of_the_workspace_may_be_a_list(folder, request_for, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    day = home / "image_sets/shop/ds=2026-03-01"
    day.mkdir(parents=True)
    (day / "images.csv").write_text(f"image,size\n{folder}/b.jpg,9\n")
    request = request_for(
        "--model", "m", "--image-set", "shop", "--date", "2026-03-01", "--workspace", home, "--retries", 1
    )
    images = request.images.load()
    assert contents(images) == {f"{folder}/b.jpg": b"b.jpg"}
    (day / "another.jpg").touch()
    assert list(request.images.load().names()) == ["another.jpg", "images.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--images", "in", "--image-list", "l.txt"), "--images and --image-list: accepted: one of"),
        (("--image-list", "l.txt", "--pattern", "*.jpg"), "--pattern: accepted: with --images"),
        (("--images", "in", "--carry", "a"), "--carry: accepted: with --image-list or --image-bytes"),
        (("--images", "in", "--column", "a"), "--column: accepted: with"),
        (("--image-list", "l.csv", "--name-column", "a"), "--name-column: accepted: with --image-bytes"),
        (("--image-bytes", "p"), "--column: missing"),
        (("--image-list", "l.csv", "--carry", "score"), "--carry: 'score' is a column of the output"),
        (("--image-list", "l.csv", "--carry", "a", "--carry", "a"), "twice"),
        (("--image-list", "l.csv", "--fetch-timeout", "nan"), "--fetch-timeout: nan"),
        (("--image-list", "l.csv", "--fetches", 0), "--fetches: 0; accepted: 1 to 512"),
        (("--image-list", "l.csv", "--allow-network", "10.0.0.1/8"), "--allow-network: 10.0.0.1/8 has host bits set"),
    ],
)
def test_options_that_do_not_go_together_are_named(request_for, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        request_for(*MODEL, *arguments)


def test_networks_are_allowed_by_the_environment_or_the_command_line(request_for, monkeypatch):
    monkeypatch.setenv("ATOLL_ALLOWED_NETWORKS", "10.0.0.0/8, ::1")
    request = request_for(*MODEL, "--image-list", "l.csv")
    assert [str(network) for network in request.images.fetch.allowed_networks] == ["10.0.0.0/8", "::1/128"]
    request = request_for(*MODEL, "--image-list", "l.csv", "--allow-network", "127.0.0.1")
    assert [str(network) for network in request.images.fetch.allowed_networks] == ["127.0.0.1/32"]
