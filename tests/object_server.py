"""An S3 server on a free port, which can end its client in the middle of a request, as a machine that fails does."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psutil

ACCESS_KEY, SECRET_KEY = "key-of-the-tests", "secret-of-the-tests"

Hook = Callable[[dict[str, Any], Callable[[], Iterable[bytes]]], Iterable[bytes] | None]
"""Gets a request and what answers it; gives the answer, or None for that of a server that is too busy."""


@dataclass
class ObjectServer:
    """A server that answers one request after another, so that it is as atomic as S3 promises to be.

    Attributes:
        url: Its address.
        requests: Method and path of each request so far.
        hook: What is to happen to a request instead of an answer; None to answer all.
    """

    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    hook: Hook | None = None
    _turn: Any = field(default_factory=threading.Lock)

    @property
    def environment(self) -> dict[str, str]:
        """What any tool of S3 needs to reach it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def new_bucket(self) -> str:
        """Makes a bucket, by the interface that its users have, and gives its name."""
        from jobs.object_store import _client

        name = f"bucket-{uuid4().hex[:12]}"
        _client().create_bucket(Bucket=name)
        return name

    def answer(self, application: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answers one request, unless the hook does."""
        with self._turn:
            self.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))

            def answered() -> Iterable[bytes]:
                return list(application(environ, keep_status))

            said: list[Any] = []

            def keep_status(*status: Any) -> None:
                said[:] = status

            given = self.hook(environ, answered) if self.hook else answered()
            if given is None:
                said[:] = "503 Service Unavailable", []
            start_response(*said)
            return given or []

    @contextmanager
    def hooked(self, hook: Hook) -> Iterator[None]:
        """Treats requests otherwise while the block runs."""
        self.hook = hook
        try:
            yield
        finally:
            self.hook = None


def forget_connection() -> None:
    """Lets this process look into its environment anew, as a process does that begins."""
    from jobs import object_store

    for known in (object_store._client, object_store.connection, object_store.arrow_files):
        known.cache_clear()


def writes_pointer(environ: dict[str, Any]) -> bool:
    """Whether a request is the one that publishes a day."""
    return environ["REQUEST_METHOD"] == "PUT" and "/_published/" in environ["PATH_INFO"]


def kill_client(environ: dict[str, Any]) -> None:
    """Ends the process that has sent a request."""
    port = int(environ["REMOTE_PORT"])
    (pid,) = {one.pid for one in psutil.net_connections("tcp") if one.laddr.port == port and one.pid != os.getpid()}
    os.kill(pid, signal.SIGKILL)


@contextmanager
def object_server(address: str = "127.0.0.1") -> Iterator[ObjectServer]:
    """Runs a server on an address of this machine while the block runs."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: object) -> None:
            pass

    moto, found = DomainDispatcherApplication(create_backend_app), ObjectServer()

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return found.answer(moto, environ, start_response)

    server = make_server(address, 0, application, threaded=True, request_handler=Quiet)
    found.url = f"http://{address}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
