"""Ports of this machine: which one the UI can listen at."""

import errno
import socket

from air_pipeline.running import UpError
from air_pipeline.running.hosts import HostError

PORTS_TRIED = 50


class PortTaken(UpError):
    """Something else listens there."""


def check_free(host: str, port: int) -> None:
    """Makes sure that the UI can listen there.

    Raises:
        PortTaken: something else does.
        HostError: the host is no address.
        UpError: it cannot for another reason.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(f"port {port} of {host} is taken; choose another with --port") from None
            raise UpError(f"the UI cannot listen at port {port} of {host}: {error.strerror}") from error
        except (TypeError, ValueError) as error:  # no host can have such a name
            raise HostError(f"--host {host!r} is no address ({error}); leave it at 127.0.0.1") from error


def free_port() -> int:
    """A port of this machine that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def next_free(host: str, port: int) -> int:
    """The port, or the first free one after it.

    Raises:
        UpError: none of the next ones is, or the host cannot be listened at.
    """
    for candidate in range(port, min(port + PORTS_TRIED, 65_536)):
        try:
            check_free(host, candidate)
        except PortTaken:
            continue
        return candidate
    raise UpError(f"ports {port} to {port + PORTS_TRIED - 1} of {host} are taken; choose another with --port")
