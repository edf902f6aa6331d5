"""A server that sends given bytes, for answers that no firmware and no simulator gives."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from air_pipeline_tests.waiting import WITHIN_S

_DROP_EVERY_S = 0.02


@dataclass
class RawServer:
    """What was asked, and how many clients have not hung up."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    open_now: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/circumstances"


@contextlib.contextmanager
def answering(data: bytes, *, then: bytes | None = None, read_first: bool = True) -> Iterator[RawServer]:
    """Sends `data` to each request and closes; or sends `then` again and again for as long as the client listens."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = RawServer(listener.getsockname()[1])
    over = threading.Event()

    def serve() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            server.open_now += 1
            with accepted, contextlib.suppress(OSError):
                accepted.settimeout(WITHIN_S)
                if read_first:
                    server.requests.append(_request(accepted))
                accepted.sendall(data)
                if then is not None:
                    _drip(accepted, then, over)
            server.open_now -= 1

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server
    finally:
        over.set()
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


def _drip(accepted: socket.socket, drop: bytes, over: threading.Event) -> None:
    accepted.settimeout(_DROP_EVERY_S)
    while not over.is_set():
        try:
            if not accepted.recv(4096):
                return
        except TimeoutError:
            accepted.sendall(drop)


def http(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """A plain answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
