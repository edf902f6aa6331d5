"""A way to a server that breaks: what goes over it, how far, and whether anybody is there is a test's to say."""

import re
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread

_CHUNK = 64 << 10
_AT_ONCE = struct.pack("ii", 1, 0)
"""Of SO_LINGER: closed as by the kernel of a machine whose process was killed."""


def everything(_data: bytes) -> None:
    """All that comes gets through."""


def half_of_a_body(request: bytes) -> int:
    """How many bytes the head of a request, which has come at once, and half of its body are."""
    head, end, _ = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    assert end
    assert length, request
    return len(head + end) + int(length[1]) // 2


class Proxy:
    """Hands connections on to a server of loopback, until it is killed: then it cuts all, and refuses new ones.

    Attributes:
        lets_pass: of what a client says: how many bytes of its connection still get through, from there on, before
            everything is killed; None for all.
        before: called when so many have, before the end.
        passed: how many bytes did, of that connection.
        died: set once it was killed so.
    """

    def __init__(self, server_port: int, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = 0
        self.lets_pass: Callable[[bytes], int | None] = everything
        self.before: Callable[[], object] = Event
        self.passed = 0
        self.died = Event()
        self._server_port = server_port
        self._lock = Lock()
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Listens, at the same port as before; all gets through."""
        self.lets_pass = everything
        listener = socket.create_server((self.host, self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        Thread(target=self._accept, args=(listener,), daemon=True).start()

    def kill(self) -> None:
        """Cuts every connection, on both sides, and refuses new ones."""
        with self._lock:
            listener, self._listener = self._listener, None
            left, self._open = self._open, set()
        for one in (listener, *left):
            if one is not None:
                with suppress(OSError):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)  # wakes who waits for it
                one.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # it is closed
            while True:
                client, _ = listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._server_port))
                except OSError:
                    client.close()
                    continue
                with self._lock:
                    self._open |= {client, server}
                Thread(target=self._there, args=(client, server), daemon=True).start()
                Thread(target=self._back, args=(server, client), daemon=True).start()

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(_CHUNK):
                client.sendall(data)
        self._end(client, server)

    def _there(self, client: socket.socket, server: socket.socket) -> None:
        left = None
        with suppress(OSError):
            while data := client.recv(_CHUNK):
                left = self.lets_pass(data) if left is None else left
                if left is None:
                    server.sendall(data)
                    continue
                server.sendall(data[:left])
                self.passed += len(data[:left])
                left -= len(data[:left])
                if not left:
                    self.before()
                    self.kill()
                    self.died.set()
        self._end(client, server)

    def _end(self, *ends: socket.socket) -> None:
        with self._lock:
            self._open -= set(ends)
        for one in ends:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextmanager
def proxy(server_port: int, host: str = "127.0.0.1") -> Iterator[Proxy]:
    """A proxy that listens while the block lasts, unless it is killed."""
    made = Proxy(server_port, host)
    made.start()
    try:
        yield made
    finally:
        made.kill()
