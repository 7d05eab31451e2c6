"""A real HTTP server on this machine that misbehaves in every way that the web does, each under a path of its own."""

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

ENDLESS = 10_000_000_000


class AwkwardServer(ThreadingHTTPServer):
    """Serves `images` by name, and trouble by path; remembers what was asked.

    Attributes:
        images: Encoded images by name, under `/images/`.
        latency: Seconds before each of them is sent.
        asked: How often each path was asked for.
        headers: Headers of the last request for each path.
        sent: Bytes of bodies that were sent for each path.
        most_at_once: The most requests that were answered at the same time.
        released: Until it is set, images under `/held/` are not sent.
    """

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, images: dict[str, bytes], latency: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.images, self.latency = images, latency
        self.asked: Counter[str] = Counter()
        self.headers: dict[str, dict[str, str]] = {}
        self.sent: Counter[str] = Counter()
        self.most_at_once = self.now = 0
        self.closing, self.released = threading.Event(), threading.Event()
        self.lock = threading.Lock()

    @property
    def port(self) -> int:
        return self.server_address[1]

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is no news."""


@contextmanager
def awkward_server(images: dict[str, bytes], latency: float = 0.0) -> Iterator[AwkwardServer]:
    """Runs the server in a thread."""
    with AwkwardServer(images, latency) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.released.set()
            server.shutdown()
            thread.join()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: AwkwardServer

    def log_message(self, *_) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        server, path = self.server, urlsplit(self.path).path
        with server.lock:
            server.asked[path] += 1
            server.headers[path] = dict(self.headers)
            server.now += 1
            server.most_at_once = max(server.most_at_once, server.now)
        try:
            kind, _, rest = path.strip("/").partition("/")
            getattr(self, f"send_{kind}")(rest)
        finally:
            with server.lock:
                server.now -= 1

    def body(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", headers.pop("length", str(len(content))))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)
        with self.server.lock:
            self.server.sent[urlsplit(self.path).path] += len(content)

    def send_images(self, name: str) -> None:
        if self.server.latency:
            time.sleep(self.server.latency)
        content = self.server.images.get(name)
        self.body(b"gone", 404) if content is None else self.body(content)

    def send_held(self, name: str) -> None:
        self.server.released.wait()
        self.body(self.server.images[name])

    def send_status(self, rest: str) -> None:
        self.body(b"trouble", int(rest))

    def send_busy(self, rest: str) -> None:
        """Asks to wait, so many times; then sends the image."""
        times, wait, name = rest.split("/")
        if self.server.asked[f"/busy/{rest}"] <= int(times):
            self.body(b"", 429, Retry_After=wait)
        else:
            self.body(self.server.images[name])

    def send_stall(self, _: str) -> None:
        """Takes the request and says nothing."""
        self.server.closing.wait(60)

    def send_reset(self, rest: str) -> None:
        """Breaks the connection in the middle of the body, so many times; then sends the image."""
        times, name = rest.split("/")
        content = self.server.images[name]
        if self.server.asked[f"/reset/{rest}"] > int(times):
            self.body(content)
            return
        self.body(content[: len(content) // 2], length=str(len(content)))
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def send_short(self, name: str) -> None:
        """Ends the body in the middle, as if it were all."""
        content = self.server.images[name]
        self.body(content[: len(content) // 2], length=str(len(content)))
        self.close_connection = True

    def send_loop(self, _: str) -> None:
        self.body(b"", 302, Location=self.path)

    def send_to(self, _: str) -> None:
        """Redirects to what the query says."""
        self.body(b"", 302, Location=urlsplit(self.path).query)

    def send_declared(self, _: str) -> None:
        self.body(b"\xff\xd8\xff", length=str(ENDLESS))
        self.server.closing.wait(60)

    def send_endless(self, _: str) -> None:
        """Sends 10 GB without having said so."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        chunk = b"x" * 65536
        for _ in range(ENDLESS // len(chunk)):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            with self.server.lock:
                self.server.sent[self.path] += len(chunk)

    def send_drip(self, name: str) -> None:
        """Sends the image a byte at a time."""
        content = self.server.images[name]
        self.body(b"", length=str(len(content)))
        self._drip(content)

    def send_dripheaders(self, _: str) -> None:
        self._drip(b"HTTP/1.1 200 OK\r\n" + b"X-More: x\r\n" * 1000)

    def send_html(self, _: str) -> None:
        self.body(b"<!DOCTYPE html><title>Sign in</title>", Content_Type="text/html")

    def send_gzip(self, name: str) -> None:
        self.body(self.server.images[name], Content_Encoding="gzip")

    def send_nonsense(self, _: str) -> None:
        self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        self.close_connection = True

    def _drip(self, content: bytes) -> None:
        for byte in content:
            if self.server.closing.wait(0.02):
                return
            self.wfile.write(bytes([byte]))
            self.wfile.flush()


def serve_folder(folder: Path, latency: float = 0.0):
    """Serves the files of a folder under `/images/`."""
    return awkward_server({path.name: path.read_bytes() for path in sorted(folder.iterdir())}, latency)
