"""What waits for the network, as steps between which it waits: one thread may take many of them, each in its turn.

Belongs here: what a step waits for, and taking the steps of one alone. Does not: what is done in them (`client`), many
at once (`collection.exchanges`).
"""

import select
import selectors
import socket
from collections.abc import Generator
from typing import NamedTuple, TypeAlias, TypeVar

from air_pipeline.boottime import boottime

POLLED = {selectors.EVENT_READ: select.POLLIN, selectors.EVENT_WRITE: select.POLLOUT}
"""What a step waits for, as `select.poll` and `select.epoll` call it."""
_Result = TypeVar("_Result")


class Wait(NamedTuple):
    """What has to come before the next step is taken.

    Attributes:
        socket: the one that is waited for, open until then.
        events: `selectors.EVENT_READ` or `selectors.EVENT_WRITE`.
        until: when the next step is taken all the same, by `boottime`.
    """

    socket: socket.socket
    events: int
    until: float


Steps: TypeAlias = Generator[Wait, None, _Result]
"""Does something in steps: yields what it waits for, and returns what came of it."""


def take(steps: Steps[_Result]) -> _Result:
    """Takes the steps of one alone, in this thread, and waits between them."""
    while True:
        try:
            wait = next(steps)
        except StopIteration as end:
            result: _Result = end.value
            return result
        poll = select.poll()
        poll.register(wait.socket, POLLED[wait.events])
        poll.poll(max(wait.until - boottime(), 0.0) * 1000)
