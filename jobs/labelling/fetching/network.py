"""Connections that are opened only to addresses that were checked, and that end when the image's time is over.

A name is resolved once, and the address that was checked is the one connected to: a server that answers the next question
with another address (DNS rebinding) gains nothing. The name still goes into `Host` and the TLS handshake.
"""

import contextvars
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpcore

from jobs.labelling.fetching.addresses import Network, refusal

Resolve = Callable[[str, int], list[str]]
"""Gives the addresses of a name."""

_deadline: contextvars.ContextVar[float] = contextvars.ContextVar("deadline")


class RefusedAddressError(Exception):
    """A name leads only to addresses that may not be connected to."""


class UnknownHostError(Exception):
    """There is no such name."""


class TimeIsOverError(Exception):
    """The image's own time is over, whatever the server does."""


def check_time() -> None:
    """Does nothing while there is time left.

    Raises:
        TimeIsOverError: There is none.
    """
    _left(None)


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Bounds every wait of this thread on a connection made here.

    Args:
        deadline: On the clock of `time.monotonic`.
    """
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


class CheckedNetwork(httpcore.NetworkBackend):
    """What httpcore opens its connections with."""

    def __init__(self, allowed: Iterable[Network], resolve: Resolve | None = None) -> None:
        """Takes the rules.

        Args:
            allowed: Networks that may be reached though they are not public.
            resolve: Gives the addresses of a name; the system's resolver unless a test says otherwise.
        """
        self._allowed = tuple(allowed)
        self._resolve = resolve or resolve_name
        self._sockets = httpcore.SyncBackend()
        self._resolvers = ThreadPoolExecutor(8, "resolve")

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolves, checks, and connects to the first address that is allowed and answers.

        Raises:
            RefusedAddressError: None of its addresses is allowed.
            UnknownHostError: There is no such name.
            httpcore.ConnectError: No address answers.
            httpcore.ConnectTimeout: Nothing came in time.
        """
        addresses = self._checked(host, port, timeout)
        trouble: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                stream = self._sockets.connect_tcp(address, port, _left(timeout), local_address, socket_options)
                return _BoundedStream(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
        raise trouble

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """Refuses: no URL leads to one.

        Raises:
            RefusedAddressError: Always.
        """
        raise RefusedAddressError(f"{path} is a socket of this machine")

    def _checked(self, host: str, port: int, timeout: float | None) -> list[str]:
        try:
            addresses = self._resolvers.submit(self._resolve, host, port).result(_left(timeout))
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"the name {host} could not be resolved in time") from None
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)):
                raise UnknownHostError(f"there is no host {host}") from None
            raise httpcore.ConnectError(f"{host}: {error.strerror}") from None
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host}: {getattr(error, 'strerror', None) or error}") from None
        refused = {address: refusal(address, self._allowed) for address in addresses}
        usable = [address for address, why in refused.items() if why is None]
        if refused and not usable:
            address, why = next(iter(refused.items()))
            named = address if address == host else f"{host} is {address}, which"
            raise RefusedAddressError(f"{named} is {why}; accepted: public addresses, or --allow-network")
        return usable


class _BoundedStream(httpcore.NetworkStream):
    """A connection whose waits end at the deadline of the image that is being fetched by this thread."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def resolve_name(host: str, port: int) -> list[str]:
    """Asks the system for the addresses of a name, in its order of preference.

    Raises:
        OSError: The name is not known.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _left(timeout: float | None) -> float | None:
    deadline = _deadline.get(None)
    if deadline is None:
        return timeout
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeIsOverError
    return left if timeout is None else min(timeout, left)
