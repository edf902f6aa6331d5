"""Which of many sockets can go on: asked of the system itself, as `selectors` takes a tenth of the time of a poll.

Belongs here: who is asked. Does not: what becomes of it (`exchanges`).
"""

import select
import selectors
from contextlib import suppress
from typing import Protocol

from air_pipeline.devices.steps import POLLED


class Readiness(Protocol):
    """As much of `select.epoll` as is needed; a socket that is closed is forgotten by itself."""

    def register(self, fd: int, eventmask: int, /) -> None:
        """Watches a socket for one of `POLLED`."""

    def modify(self, fd: int, eventmask: int, /) -> None:
        """Watches it for another one."""

    def unregister(self, fd: int, /) -> None:
        """Watches it no more."""

    def poll(self, timeout: float, /) -> list[tuple[int, int]]:
        """Waits for so many seconds at most; the numbers of the sockets that can go on, or are broken, and for what."""
        ...

    def close(self) -> None:
        """Watches none any more."""


class BySelectors:
    """The same for systems that have no epoll."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def register(self, fd: int, eventmask: int, /) -> None:
        """See `Readiness`."""
        with suppress(KeyError):  # of one that was closed
            self._selector.unregister(fd)
        self._selector.register(fd, _EVENTS[eventmask])

    def modify(self, fd: int, eventmask: int, /) -> None:
        """See `Readiness`."""
        self._selector.modify(fd, _EVENTS[eventmask])

    def unregister(self, fd: int, /) -> None:
        """See `Readiness`."""
        self._selector.unregister(fd)

    def poll(self, timeout: float, /) -> list[tuple[int, int]]:
        """See `Readiness`."""
        return [(key.fd, POLLED[events]) for key, events in self._selector.select(timeout)]

    def close(self) -> None:
        """See `Readiness`."""
        self._selector.close()


_EVENTS = {polled: events for events, polled in POLLED.items()}


def readiness() -> Readiness:
    """Watches none yet."""
    return select.epoll() if hasattr(select, "epoll") else BySelectors()
