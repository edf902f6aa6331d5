"""A server that sends given bytes, for answers that no firmware and no simulator gives."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

WAIT_S = 20


@dataclass
class RawServer:
    """What was asked, and on which connections the client has hung up."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/circumstances"


@contextlib.contextmanager
def answering(data: bytes, *, stay: bool = False, read_first: bool = True) -> Iterator[RawServer]:
    """Sends `data` to each request and closes; with `stay`, waits for the client to hang up."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = RawServer(listener.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with accepted, contextlib.suppress(OSError):
                accepted.settimeout(WAIT_S)
                if read_first:
                    server.requests.append(_request(accepted))
                accepted.sendall(data)
                if stay:
                    while accepted.recv(4096):
                        pass
                    server.hung_up.set()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _request(accepted: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        part = accepted.recv(4096)
        if not part:
            break
        received += part
    return received


def wait_until(condition: Callable[[], bool], seconds: float = WAIT_S) -> None:
    """Waits for a condition and fails where it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come in time"
        time.sleep(0.002)


def http(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """A plain answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
