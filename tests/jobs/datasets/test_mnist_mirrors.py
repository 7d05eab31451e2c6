"""MNIST through the mirrors that an experiment names: what fails is passed over, and what arrives is whole."""

import gzip
import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jobs.datasets import mnist
from jobs.datasets.mnist import MD5, download_mnist
from jobs.datasets.prepare import prepare
from jobs.errors import InvalidDatasetError
from jobs.experiment import Experiment
from jobs.workspace import Workspace

SMALL = {name: gzip.compress(name.encode() * 9) for name in MD5}


class Mirror:
    """A web server with MNIST's files, which counts what it is asked for and may treat some in its own way."""

    def __init__(self, files: dict[str, bytes], oddly: Callable[[BaseHTTPRequestHandler, bytes], None] | None) -> None:
        mirror, self.asked = self, []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name that the library calls
                name = self.path.removeprefix("/").removesuffix(".gz")
                mirror.asked.append(name)
                if oddly:
                    return oddly(self, files[name])
                self.send_response(200)
                self.send_header("Content-Length", str(len(files[name])))
                self.end_headers()
                self.wfile.write(files[name])

            def log_message(self, *_: object) -> None:
                """Keeps the tests' output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


Start = Callable[..., Mirror]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    mirrors: list[Mirror] = []

    def begin(files: dict[str, bytes], oddly: Callable[[BaseHTTPRequestHandler, bytes], None] | None = None) -> Mirror:
        mirrors.append(Mirror(files, oddly))
        return mirrors[-1]

    yield begin
    for mirror in mirrors:
        mirror.server.shutdown()
        mirror.server.server_close()


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts small files in the place of MNIST's, whose download is what is tested here."""
    digests = {name: hashlib.md5(gzip.decompress(packed)).hexdigest() for name, packed in SMALL.items()}  # noqa: S324
    monkeypatch.setattr(mnist, "MD5", digests)


def experiment(mirrors: tuple[str, ...]) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "mine",
            "dataset": {"source": "mnist", "mirrors": mirrors},
            "model": "mlp",
            "search": {"neurons": [8]},
            "default": {"layers": 1, "neurons": 8, "learning_rate": 0.01, "batch_size": 64, "dropout": 0},
            "budget": {"epochs": 1},
        }
    )


def breaks_off(request: BaseHTTPRequestHandler, content: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content[:20])


def fails(request: BaseHTTPRequestHandler, _: bytes) -> None:
    request.send_error(503)


def says_nothing(request: BaseHTTPRequestHandler, _: bytes) -> None:
    request.close_connection = True


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("oddly", [breaks_off, fails, says_nothing])
def test_a_mirror_that_fails_half_way_is_passed_over(
    oddly: Callable[[BaseHTTPRequestHandler, bytes], None], start: Start, tmp_path: Path
) -> None:
    bad, good = start(SMALL, oddly), start(SMALL)
    download_mnist(tmp_path, (bad.address, good.address))
    assert bad.asked == good.asked == list(MD5)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        f"{name}.gz": packed for name, packed in SMALL.items()
    }


@pytest.mark.usefixtures("small_files")
def test_a_mirror_that_works_is_the_only_one_asked(start: Start, tmp_path: Path) -> None:
    first, second = start(SMALL), start(SMALL)
    download_mnist(tmp_path, (first.address, second.address))
    assert (first.asked, second.asked) == (list(MD5), [])


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize(
    "address", ["http://a..b/", "http://127.0.0.1:port/", "http://\x7f/", "ftp://127.0.0.1/", "127.0.0.1/mnist/", ""]
)
def test_an_address_that_is_none_is_passed_over_too(address: str, start: Start, tmp_path: Path) -> None:
    download_mnist(tmp_path / "found", (address, start(SMALL).address))
    assert len(list((tmp_path / "found").iterdir())) == len(MD5)
    with pytest.raises(InvalidDatasetError, match=r"^train-images-idx3-ubyte\.gz: no mirror gave it \(") as told:
        download_mnist(tmp_path / "none", (address,))
    assert f"({address}train-images-idx3-ubyte.gz: " in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.usefixtures("small_files")
def test_only_what_is_missing_is_asked_for(start: Start, tmp_path: Path) -> None:
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"plain")
    mirror = start(SMALL)
    download_mnist(tmp_path, (mirror.address,))
    assert mirror.asked == [name for name in MD5 if name != "train-labels-idx1-ubyte"]
    assert (tmp_path / "train-labels-idx1-ubyte").read_bytes() == b"plain"


def test_no_mirrors_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidDatasetError, match=r"no mirror gave it \(none is named\); accepted: other dataset\.mirr"
    ):
        download_mnist(tmp_path / "mnist", ())
    assert not (tmp_path / "mnist").exists()


def test_real_mnist_is_downloaded_once_and_prepared_as_published(test_data: Path, start: Start, tmp_path: Path) -> None:
    mirror = start({name: (test_data / "mnist" / f"{name}.gz").read_bytes() for name in MD5})
    asked = experiment(mirrors=("http://127.0.0.1:9/", mirror.address))
    prepared = prepare(asked, Workspace(tmp_path))
    assert (prepared.train, prepared.validation, prepared.test) == (54_000, 6_000, 10_000)
    assert (prepared.image_shape, prepared.classes) == ((28, 28, 1), list("0123456789"))
    assert sorted(path.name for path in (tmp_path / "downloads" / "mnist").iterdir()) == sorted(
        f"{name}.gz" for name in MD5
    )
    again = prepare(asked, Workspace(tmp_path))
    assert again.reused
    assert again.fingerprint == prepared.fingerprint
    assert mirror.asked == list(MD5)


def test_a_download_that_was_damaged_since_is_refused_with_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "downloads" / "mnist"
    folder.mkdir(parents=True)
    for name in MD5:
        (folder / f"{name}.gz").write_bytes(b"<html>")
    asked = experiment(mirrors=())
    with pytest.raises(InvalidDatasetError, match=r"downloads/mnist/train-images-idx3-ubyte\.gz: not a gzip file"):
        prepare(asked, Workspace(tmp_path))
    assert not (tmp_path / "datasets").exists()
