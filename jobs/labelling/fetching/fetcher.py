"""Fetching one image by http or https, within limits that no server can stretch."""

import base64
import random
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import httpcore
import httpx

from jobs.labelling.fetching.network import (
    CheckedNetwork,
    RefusedAddressError,
    Resolve,
    TimeIsOverError,
    UnknownHostError,
    check_time,
    until,
)
from jobs.labelling.fetching.patience import backoff, retry_after, worth_asking_again
from jobs.labelling.fetching.settings import FetchSettings
from jobs.labelling.rejection import ImageRejectedError

_REDIRECTS = (301, 302, 303, 307, 308)

_HEADERS = [("User-Agent", "atoll"), ("Accept", "image/*, */*;q=0.5"), ("Accept-Encoding", "identity")]
"""Nothing compressed is asked for: an image is already, and a bomb would come in through it."""

_BROKEN = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)


class _MayPassError(Exception):
    """This attempt failed in a way that another may not.

    Attributes:
        wait: Seconds that the server asks to wait; None where it does not.
    """

    def __init__(self, detail: str, wait: float | None = None) -> None:
        super().__init__(detail)
        self.wait = wait


@dataclass(frozen=True)
class _Moved:
    url: httpx.URL


class Fetcher:
    """Fetches images; safe to call from several threads, which share its connections."""

    def __init__(self, settings: FetchSettings, resolve: Resolve | None = None) -> None:
        """Prepares connections; none is opened.

        Args:
            settings: Every limit.
            resolve: Gives the addresses of a name; the system's resolver unless a test says otherwise.
        """
        self._settings = settings
        self._connections = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=None,  # bounded by the slots below
            max_keepalive_connections=settings.at_once,
            keepalive_expiry=15.0,
            network_backend=CheckedNetwork(settings.allowed_networks, resolve),
        )
        self._slots: dict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(settings.per_host))
        self._lock = threading.Lock()

    def fetch(self, url: str, limit: int) -> bytes:
        """Fetches one image.

        Args:
            url: Its address; name and password in it are sent to its own host alone.
            limit: How many bytes it may have.

        Raises:
            ImageRejectedError: `too_large` where it has more bytes, else `fetch_failed` with what went wrong.
        """
        place = _parsed(url)
        clock = _Clock(self._settings.total_seconds)
        trouble: _MayPassError | None = None
        for attempt in range(1, self._settings.retries + 2):
            try:
                return self._follow(place, limit, clock)
            except _MayPassError as failed:
                trouble = failed
            except TimeIsOverError:
                earlier = f"; before that, {trouble}" if trouble else ""
                raise _failed(f"not there after {clock.seconds:g} s{earlier}") from None
            if attempt <= self._settings.retries:
                self._wait(attempt, trouble, clock)
        tried = f", {self._settings.retries + 1} times" if self._settings.retries else ""
        raise _failed(f"{trouble}{tried}")

    def _wait(self, attempt: int, trouble: _MayPassError, clock: "_Clock") -> None:
        """Waits before the next attempt, while others may ask the same host; gives up where that takes too long."""
        wait = max(trouble.wait or 0.0, backoff(attempt, random.random()))  # noqa: S311
        if wait >= clock.left():
            asked = f" and asks to wait {trouble.wait:g} s" if trouble.wait else ""
            raise _failed(f"{trouble}{asked}; {max(0.0, clock.left()):.0f} of {clock.seconds:g} s were left")
        time.sleep(wait)

    def _follow(self, place: httpx.URL, limit: int, clock: "_Clock") -> bytes:
        """Follows redirects to the image; credentials stay with the host that they were given for."""
        credentials = _credentials(place)
        here = place
        for hops in range(self._settings.redirects + 1):
            same = (here.scheme, here.host, here.port) == (place.scheme, place.host, place.port)
            with self._slot(here.host, clock), until(clock.deadline):
                answer = self._ask(here, credentials if same else [], limit, redirected=hops > 0)
            if isinstance(answer, bytes):
                return answer
            here = answer.url
        raise _failed(f"more than {self._settings.redirects} redirects")

    def _ask(
        self, url: httpx.URL, credentials: list[tuple[str, str]], limit: int, *, redirected: bool
    ) -> "bytes | _Moved":
        settings = self._settings
        waits = {"connect": settings.connect_seconds, "read": settings.read_seconds, "write": settings.read_seconds}
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        headers = [("Host", url.netloc.decode("ascii")), *_HEADERS, *credentials]
        try:
            with self._connections.stream("GET", target, headers=headers, extensions={"timeout": waits}) as response:
                return self._receive(url, response, limit)
        except RefusedAddressError as refused:
            raise _failed(f"{'redirected to a refused address' if redirected else 'refused'}: {refused}") from None
        except UnknownHostError as error:
            raise _failed(str(error)) from None
        except _BROKEN as error:
            check_time()
            cause = error.args[0] if error.args else None
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise _failed(f"its certificate is not trusted: {cause.verify_message}") from None
            raise _MayPassError(_trouble(error, settings)) from None

    def _receive(self, url: httpx.URL, response: httpcore.Response, limit: int) -> bytes | _Moved:
        headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
        status = response.status
        if status in _REDIRECTS and b"location" in headers:
            return _Moved(_parsed(headers[b"location"], url))
        if worth_asking_again(status):
            raise _MayPassError(f"the server answers {status}", retry_after(headers.get(b"retry-after")))
        if status != 200:
            raise _failed(f"the server answers {status}")
        if headers.get(b"content-encoding", "identity").lower() != "identity":
            raise _failed(f"sent with Content-Encoding {headers[b'content-encoding'][:40]!r}, which was not asked for")
        declared = headers.get(b"content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
            raise ImageRejectedError(
                "too_large", f"declared as {int(declared[:20]) / 1e6:.1f} MB, over {limit / 1e6:g}"
            )
        content = bytearray()
        for chunk in response.iter_stream():
            content += chunk
            if len(content) > limit:
                raise ImageRejectedError("too_large", f"more than {limit / 1e6:g} MB")
        return bytes(content)

    @contextmanager
    def _slot(self, host: str, clock: "_Clock") -> Iterator[None]:
        """Waits for a turn at a host; that is not the server's fault, so the clock does not run meanwhile."""
        with self._lock:
            slots = self._slots[host]
        asked = time.monotonic()
        with slots:
            clock.deadline += time.monotonic() - asked
            yield


class _Clock:
    """The time of one image."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds

    def left(self) -> float:
        return self.deadline - time.monotonic()


@lru_cache(maxsize=1)
def fetcher_for(settings: FetchSettings) -> Fetcher:
    """Gives this process's fetcher, so that connections outlive a partition."""
    return Fetcher(settings)


def _parsed(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """Reads a URL, relative to another where that is given; what is checked here is what is connected to.

    Raises:
        ImageRejectedError: It is none, or not http or https.
    """
    what = "redirected to" if base else "is"
    try:
        url = httpx.URL(text)
        if base and not url.scheme:
            url = base.join(url)
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise _failed(f"{what} no URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise _failed(f"{what} {url.scheme or 'no'}:// URL; accepted: http and https, with a host")
    return url


def _credentials(url: httpx.URL) -> list[tuple[str, str]]:
    if not url.userinfo:
        return []
    name, _, password = url.userinfo.partition(b":")
    pair = unquote_to_bytes(name) + b":" + unquote_to_bytes(password)
    return [("Authorization", f"Basic {base64.b64encode(pair).decode('ascii')}")]


def _trouble(error: Exception, settings: FetchSettings) -> str:
    if isinstance(error, httpcore.ConnectTimeout):
        return f"no connection within {settings.connect_seconds:g} s"
    if isinstance(error, httpcore.TimeoutException):
        return f"timed out after {settings.read_seconds:g} s of silence"
    kind = "no connection" if isinstance(error, httpcore.ConnectError) else "the connection broke"
    return f"{kind}: {error}" if str(error) else kind


def _failed(detail: str) -> ImageRejectedError:
    return ImageRejectedError("fetch_failed", " ".join(detail.split())[:300])
