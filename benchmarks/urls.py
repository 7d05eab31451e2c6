"""Labels the same images from files and from URLs with latency, in one run: what waiting for a network costs.

    python -m benchmarks.urls --graph graph.pb --labels labels.txt --photos FOLDER

The server is on this machine and takes its share of the cores, so a network with the same latency costs less.
"""

import argparse
import asyncio
import io
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import unquote

from PIL import Image

from jobs.label_images import parser
from jobs.labelling.label import label_images
from jobs.labelling.request import request_from
from jobs.results import LabelledImageSet


def main() -> None:
    """Runs the benchmark from the command line; prints a line of JSON for each run, and the ratio."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = arguments.add_argument
    add("--graph", type=Path, required=True)
    add("--labels", type=Path, required=True)
    add("--photos", type=Path, required=True, help="a folder of JPEGs, which are made 500 pixels wide")
    add("--images", type=int, default=1500, help="of the set; the photos are repeated")
    add("--latency", type=float, default=0.1, help="seconds before the server sends an image")
    add("--rounds", type=int, default=2, help="each of files and URLs, in turn")
    add("options", nargs="*", help="for label_images, after --")
    given = arguments.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "images"
        make_images(given.photos, folder, given.images)
        with server(folder, given.latency) as port:
            listed = Path(scratch) / "urls.txt"
            names = sorted(path.name for path in folder.iterdir())
            listed.write_text("".join(f"http://127.0.0.1:{port}/{name}\n" for name in names))
            ways = {
                "files": ("--images", folder),
                "urls": ("--image-list", listed, "--allow-network", "127.0.0.1"),
            }
            speeds: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(given.rounds):
                for way, source in ways.items():
                    model = ("--graph", given.graph, "--labels", given.labels)
                    result = label(*model, *source, "--output", Path(scratch) / "out", *given.options)
                    assert result.labelled == given.images, result.reasons
                    speeds[way].append(result.images_per_second)
                    print(json.dumps({"from": way, "images_per_second": result.images_per_second}), flush=True)
    median = {way: statistics.median(measured) for way, measured in speeds.items()}
    print(json.dumps({**median, "latency": given.latency, "ratio": round(median["urls"] / median["files"], 3)}))


def make_images(photos: Path, folder: Path, count: int) -> None:
    """Writes JPEGs of 500 pixels, each with other bytes than the next."""
    folder.mkdir()
    sources = []
    for path in sorted(photos.glob("*.jpg")):
        photo = Image.open(path).convert("RGB")
        photo.thumbnail((500, 500))
        sources.append(photo)
    for number in range(count):
        content = io.BytesIO()
        sources[number % len(sources)].save(content, "JPEG", quality=85 + number // len(sources) % 10)
        (folder / f"{number:06}.jpg").write_bytes(content.getvalue())


def label(*arguments: object) -> LabelledImageSet:
    """Runs the application in this process."""
    declared = parser()
    declared.add_argument("--workspace")
    return label_images(request_from(declared.parse_args([str(argument) for argument in arguments])))


@contextmanager
def server(folder: Path, latency: float) -> Iterator[int]:
    """Serves a folder in a process of its own; gives the port."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(folder, latency, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def serve(folder: Path, latency: float, started: Connection) -> None:
    """Sends each image after `latency` seconds, to any number of clients at once."""
    images = {path.name: path.read_bytes() for path in folder.iterdir()}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                content = images[unquote(request.split(b" ", 2)[1].decode()).lstrip("/")]
                await asyncio.sleep(latency)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        listening = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
        started.send(listening.sockets[0].getsockname()[1])
        await listening.serve_forever()

    asyncio.run(run())


if __name__ == "__main__":
    main()
