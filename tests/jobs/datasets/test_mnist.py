"""MNIST's files: what is damaged is refused with its name, and what is downloaded is checked before it counts."""

import gzip
import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from jobs.datasets import mnist
from jobs.datasets.mnist import MD5, download_mnist, parse_idx, read_mnist
from jobs.errors import InvalidDatasetError

IMAGES = bytes((0, 0, 8, 3)) + np.array([2, 3, 4], ">u4").tobytes() + bytes(range(24))
LABELS = bytes((0, 0, 8, 1)) + np.array([3], ">u4").tobytes() + bytes((7, 0, 9))


def test_an_idx_file_gives_its_array() -> None:
    images = parse_idx(IMAGES, "images", 3)
    assert (images.shape, images.dtype, images[1, 2, 3]) == ((2, 3, 4), np.uint8, 23)
    assert list(parse_idx(LABELS, "labels", 1)) == [7, 0, 9]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "x: starts with nothing; accepted: 00 00 08 03"),
        (LABELS, "x: starts with 00 00 08 01; accepted: 00 00 08 03, an IDX file of unsigned bytes in 3 dimensions"),
        (b"\x1f\x8b\x08\x00", "x: starts with 1f 8b 08 00"),
        (IMAGES[:10], "x: truncated: 10 bytes; accepted: a header of 16"),
        (IMAGES[:-1], r"x: truncated: 39 bytes; accepted: 40 for shape \(2, 3, 4\)"),
        (IMAGES + b"!", "x: too long: 41 bytes; accepted: 40"),
        (IMAGES[:4] + b"\xff" * 12, "x: truncated: 16 bytes"),
    ],
    ids=["empty", "labels for images", "still gzipped", "half a header", "truncated", "too long", "absurd sizes"],
)
def test_a_damaged_idx_file_is_refused_with_the_reason(content: bytes, said: str) -> None:
    with pytest.raises(InvalidDatasetError, match=said):
        parse_idx(content, "x", 3)


def test_real_mnist_is_read_gzipped_and_plain(test_data: Path, tmp_path: Path) -> None:
    for name in MD5:
        packed = (test_data / "mnist" / f"{name}.gz").read_bytes()
        plain = "labels" in name
        (tmp_path / (name if plain else f"{name}.gz")).write_bytes(gzip.decompress(packed) if plain else packed)
    source = read_mnist(tmp_path)
    source.check("mnist")
    assert (source.images.shape, source.test_from) == ((70_000, 28, 28, 1), 60_000)
    assert list(source.labels[:5]) == [5, 0, 4, 1, 9]


def test_one_changed_byte_fails_the_checksum(test_data: Path, tmp_path: Path) -> None:
    for name in MD5:
        content = bytearray(gzip.decompress((test_data / "mnist" / f"{name}.gz").read_bytes()))
        if name == "t10k-labels-idx1-ubyte":
            content[100] ^= 1
        (tmp_path / name).write_bytes(content)
    with pytest.raises(
        InvalidDatasetError, match=r"t10k-labels-idx1-ubyte: md5 \w{32} after decompression; accepted: "
    ):
        read_mnist(tmp_path)


def test_a_missing_or_cut_file_is_named(test_data: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidDatasetError, match=r"no train-images-idx3-ubyte or train-images-idx3-ubyte\.gz there"):
        read_mnist(tmp_path)
    for name in MD5:
        packed = (test_data / "mnist" / f"{name}.gz").read_bytes()
        (tmp_path / f"{name}.gz").write_bytes(packed[: len(packed) // 2] if name.startswith("train-images") else packed)
    with pytest.raises(
        InvalidDatasetError, match=r"train-images-idx3-ubyte\.gz: truncated: the gzip stream ends early"
    ):
        read_mnist(tmp_path)


Serve = Callable[[dict[str, bytes]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a mirror that has the given files and no other; gives its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(files: dict[str, bytes]) -> str:
        class Mirror(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name that the library calls
                content = files.get(self.path.removeprefix("/mnist/"))
                self.send_response(404 if content is None else 200)
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                """Keeps the tests' output clean."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/mnist/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


CONTENT = {name: name.encode() * 9 for name in MD5}
PACKED = {f"{name}.gz": gzip.compress(content) for name, content in CONTENT.items()}


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts small files in the place of MNIST's, whose download is what is tested here."""
    digests = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in CONTENT.items()}
    monkeypatch.setattr(mnist, "MD5", digests)


@pytest.mark.usefixtures("small_files")
def test_the_first_mirror_that_has_a_right_file_gives_it(serve: Serve, tmp_path: Path) -> None:
    name = "t10k-labels-idx1-ubyte.gz"
    mirrors = (
        serve({}),
        "http://127.0.0.1:9/mnist/",
        serve(PACKED | {name: gzip.compress(b"other")}),
        serve(PACKED | {name: PACKED[name][:-8]}),
        serve(PACKED),
    )
    download_mnist(tmp_path, mirrors)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == PACKED


@pytest.mark.usefixtures("small_files")
def test_what_is_there_is_not_downloaded_again(serve: Serve, tmp_path: Path) -> None:
    download_mnist(tmp_path, (serve(PACKED),))
    download_mnist(tmp_path, ())


@pytest.mark.usefixtures("small_files")
def test_when_no_mirror_helps_each_is_named_with_its_reason_and_nothing_is_written(
    serve: Serve, tmp_path: Path
) -> None:
    wrong = dict.fromkeys(PACKED, b"<html>")
    with pytest.raises(InvalidDatasetError) as told:
        download_mnist(tmp_path, (serve({}), serve(wrong), "http://127.0.0.1:9/mnist/"))
    for said in (
        "train-images-idx3-ubyte.gz: no mirror gave it",
        "404",
        "not a gzip file",
        "refused",
        "dataset.folder",
    ):
        assert said in str(told.value)
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []
