"""Ports on the loopback address."""

import socket

from local.errors import PortTakenError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])


def free_ports(count: int) -> list[int]:
    """Several such ports, all different."""
    listeners = [socket.socket() for _ in range(count)]
    try:
        for listener in listeners:
            listener.bind((LOOPBACK, 0))
        return [int(listener.getsockname()[1]) for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


def check_free(port: int, variable: str) -> None:
    """Makes sure that a port that the user asked for can be had.

    Args:
        port: The port.
        variable: Name of the environment variable that asked for it.

    Raises:
        PortTakenError: Somebody listens there, or it needs rights that this user lacks.
    """
    with socket.socket() as listener:
        # As the servers themselves do: a port that a stopped server left waiting for its last packets is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError as error:
            raise PortTakenError(
                f"{variable}: port {port} cannot be had ({error.strerror}); accepted: another port, or unset for a free one"
            ) from None
