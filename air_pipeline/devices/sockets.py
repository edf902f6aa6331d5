"""The addresses that sockets are opened to, and the end of one under whoever waits for it.

Belongs here: what the system does for one connection. Does not: which is tried when (`client`).
"""

import os
import re
import socket
from contextlib import suppress
from typing import Any

_IPV4 = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")


def is_address(host: str) -> bool:
    """Whether a host is written as an address, so that nobody has to be asked where it is."""
    return ":" in host or _IPV4.fullmatch(host) is not None


def addresses_of(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    """Where a host may be reached, in the order in which that is to be tried; an OSError if nobody knows."""
    if _IPV4.fullmatch(host):
        return [(socket.AF_INET, (host, port))]
    return [(found[0], found[4]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def require_connected(connection: socket.socket) -> None:
    """Raises the OSError of a connection that did not come about."""
    if number := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(number, os.strerror(number))


def shut_down(connection: socket.socket) -> None:
    """Ends both directions, also under a thread that waits in it."""
    with suppress(OSError):  # closed by the other side, or never connected
        # Not that of a socket for TLS, which would take itself apart under its reader.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
