"""The audit of the locked packages: what is known, what is not, and that silence is never taken for good news."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jobs.workspace import REPOSITORY

LOCK = """\
--index-url https://index.example/simple
safe==1.0 \\
    --hash=sha256:00
unsafe[extra]==2.1 ; python_version < '4' \\
    --hash=sha256:01
"""
DESCRIBED = {
    "summary": "Runs what it\nreads",
    "affected": [{"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.2"}]}]}],
}

Answer = Callable[[dict[str, Any]], object]


@contextmanager
def service(answer: Answer) -> Iterator[str]:
    """A server that answers questions as OSV does, by what `answer` makes of them."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._send(answer(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def do_GET(self) -> None:
            self._send(DESCRIBED)

        def _send(self, content: object) -> None:
            self.send_response(200 if content is not None else 500)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audit(folder: Path, address: str, lock: str = LOCK) -> "subprocess.CompletedProcess[str]":
    (folder / "lock.txt").write_text(lock)
    command = [sys.executable, str(REPOSITORY / ".ci" / "audit.py"), str(folder / "lock.txt"), "--service", address]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def one_vulnerable(question: dict[str, Any]) -> object:
    """Knows one advisory, on the second page of its answer."""
    known = {"safe": {}, "unsafe": {"next_page_token": "more"}}
    return {
        "results": [
            {"vulns": [{"id": "GHSA-1"}]} if "page_token" in query else known[query["package"]["name"]]
            for query in question["queries"]
        ]
    }


def test_a_package_with_a_known_vulnerability_is_named_with_what_mends_it(tmp_path: Path) -> None:
    with service(one_vulnerable) as address:
        done = audit(tmp_path, address)
    assert done.returncode == 1
    assert "unsafe 2.1: GHSA-1: Runs what it reads; mended in 2.2\n" in done.stdout
    assert "1 of 2 packages have known vulnerabilities" in done.stdout


def test_where_nothing_is_known_it_says_of_how_many_packages(tmp_path: Path) -> None:
    with service(lambda question: {"results": [{} for _ in question["queries"]]}) as address:
        done = audit(tmp_path, address)
    assert (done.returncode, done.stdout) == (0, f"0 of 2 packages have known vulnerabilities, says {address}\n")


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, {"results": [{}]}, {"results": [{}, None]}, {"results": [{}, {"vulns": [{}]}]}],
    ids=["error", "list", "nothing", "too few", "null", "no name"],
)
def test_an_answer_that_is_none_is_not_taken_for_good_news(tmp_path: Path, answer: object) -> None:
    with service(lambda question: answer) as address:
        done = audit(tmp_path, address)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("not audited: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("lock", [LOCK, "# nothing\n"])
def test_without_the_service_or_a_package_nothing_is_known(tmp_path: Path, lock: str) -> None:
    done = audit(tmp_path, "http://127.0.0.1:9", lock)
    assert (done.returncode, done.stdout) == (3, "")
    assert "nothing is known of" in done.stderr


def test_the_locks_are_those_that_are_installed() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    assert "pip sync --quiet --python $(PYTHON) requirements.txt requirements-dev.txt" in makefile
    assert 'LOCKS = ("requirements.txt", "requirements-dev.txt")' in (REPOSITORY / ".ci" / "audit.py").read_text()
