"""Devices that write down what they are asked and answer: the count that no collector can embellish."""

import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"


@dataclass(slots=True)
class Asked:
    """One request that reached a device.

    Attributes:
        device: its id.
        number: what the device answered, a number that it gives once.
        at: when the request was there, seconds UTC.
        answered: when the whole answer was handed to the network; None if nobody was there to take it any more.
    """

    device: str
    number: int
    at: float
    answered: float | None = None


class CountingDevices:
    """Real HTTP servers, one a device, that answer every request with the next number.

    Args:
        delays: how long each device takes to answer, seconds.
    """

    def __init__(self, delays: Mapping[str, float]) -> None:
        self.asked: list[Asked] = []
        self._number = 0
        self._lock = threading.Lock()
        self._sockets = {name: socket.create_server(("127.0.0.1", 0), backlog=64) for name in delays}
        for name, listening in self._sockets.items():
            threading.Thread(target=self._serve, args=(name, listening, delays[name]), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Answers nobody any more."""
        for listening in self._sockets.values():
            listening.close()

    def url(self, device: str) -> str:
        """Where a device is asked."""
        return f"http://127.0.0.1:{self._sockets[device].getsockname()[1]}/"

    def _serve(self, name: str, listening: socket.socket, delay_s: float) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._answer, args=(name, connection, delay_s), daemon=True).start()

    def _answer(self, name: str, connection: socket.socket, delay_s: float) -> None:
        with connection:
            try:
                if not connection.recv(4096):
                    return
                with self._lock:
                    self._number += 1
                    asked = Asked(name, self._number, time.time())
                    self.asked.append(asked)
                time.sleep(delay_s)
                if _has_gone(connection):
                    return
                body = b'{"nodemcu": {"counter": {"count": "%d"}}}' % asked.number
                connection.sendall(_HEAD % len(body) + body)
                asked.answered = time.time()
            except OSError:  # the collector was killed
                return


def _has_gone(connection: socket.socket) -> bool:
    """Whether whoever asked is dead: it closed its end before it had an answer."""
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
