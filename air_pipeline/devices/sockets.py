"""Sockets whose waits end, and the addresses that they are opened to.

Belongs here: what the kernel does for one connection. Does not: which is tried when (`client`).
"""

import re
import socket
import struct
from contextlib import suppress
from typing import Any

_IPV4 = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
_LONGEST_TIMEVAL = 16
_TIMEVALS = {8: "=ii", 16: "=qq"}
"""Bytes of the kernel's `struct timeval` to its form. C's `long` tells nothing: 32-bit systems count in 64 bits."""


class LimitedSocket(socket.socket):
    """A blocking socket with the kernel's own timeouts, for connections without TLS (which would wait on past them).

    Python's timeouts poll before every call, and setting them is a call of its own: each lets another thread take the
    interpreter, which with 32 threads made a third of the cost of a GET.
    """

    __slots__ = ()

    def settimeout(self, value: float | None) -> None:
        """Nothing: the exchange says by `limit` how long a wait may be, for all of its layers."""

    def limit(self, seconds: float) -> None:
        """Ends every later wait that is longer."""
        size = len(self.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _LONGEST_TIMEVAL))
        timeval = timeval_of(seconds, size)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)


def timeval_of(seconds: float, size: int) -> bytes:
    """A span of time as a kernel whose timeval has so many bytes takes it."""
    return struct.pack(_TIMEVALS[size], int(seconds), int(seconds % 1 * 1_000_000))


def addresses_of(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    """Where a host may be reached, in the order in which that is to be tried; an OSError if nobody knows."""
    if _IPV4.fullmatch(host):
        return [(socket.AF_INET, (host, port))]
    return [(found[0], found[4]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def shut_down(connection: socket.socket) -> None:
    """Ends both directions, also under a thread that waits in it."""
    with suppress(OSError):  # closed by the other side, or never connected
        connection.shutdown(socket.SHUT_RDWR)
