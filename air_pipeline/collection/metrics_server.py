"""`/metrics` of a collector, on this machine alone: answered from memory, in threads of its own, a few at a time.

Belongs here: HTTP and its bounds. Does not: what is told (`metrics`). No device is asked, no slot held up: all that a
scrape touches is what the recorder has taken note of.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from air_pipeline.boottime import boottime
from air_pipeline.collection.collector_state import collector_state
from air_pipeline.collection.metrics import Metrics, Standing
from air_pipeline.collection.outbox_status import OutboxStatus
from air_pipeline.errors import AirPipelineError
from air_pipeline.netloc import is_here, read_netloc
from air_pipeline.settings import Settings
from air_pipeline.state import StateDirectory

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
MOST_AT_ONCE = 4
"""Requests that are answered at the same time; a further one is not."""
WITHIN_S = 5.0
"""A request, from its first byte to the last of the answer."""
LOOK_EVERY_S = 5.0
"""How often it is looked how much waits in the outbox: a question to a file, so not one of a scrape's."""
_FORGET_AFTER_S = 60.0


def why_not(path: str, host: str | None, site: str | None) -> tuple[int, str] | None:
    """Why a GET is refused, as its status and a sentence; None where it is not.

    Args:
        path: what is asked for.
        host: the header Host: a name of somebody's that leads to this machine makes his page one of ours.
        site: the header Sec-Fetch-Site, with which a browser says that another page asks.
    """
    named = read_netloc(host or "")
    if named is None or not is_here(named.plain):
        return 403, "metrics are for this machine: ask for them under http://localhost and their port"
    if site not in {None, "none", "same-origin"}:
        return 403, "this was asked for by a page of another site"
    if path.partition("?")[0] != "/metrics":
        return 404, "there is nothing but /metrics"
    return None


@contextmanager
def serving(
    port: int, metrics: Metrics, state: StateDirectory, settings: Callable[[], Settings], refuses: Callable[[], bool]
) -> Iterator[None]:
    """Answers on a port of the loopback while the block lasts; a port that is taken is said, and nothing else happens.

    Args:
        port: which; 0 takes a free one, which the log says.
        metrics: what is told.
        state: whose outbox is looked at.
        settings: those in force.
        refuses: whether the disk takes nothing.
    """
    outbox = _OutboxWatch(state)
    try:
        server = _Server(port, lambda: metrics.text(settings(), Standing(outbox.status, refuses())))
    except OSError as error:
        log.error("no metrics at port %d: %s; collecting goes on without them", port, error.strerror or error)
        yield
        return
    threads = [
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True),
        threading.Thread(target=outbox.run, name="metrics-outbox", daemon=True),
    ]
    for thread in threads:
        thread.start()
    log.info("metrics are at http://127.0.0.1:%d/metrics", server.server_address[1])
    try:
        yield
    finally:
        outbox.stop.set()
        server.shutdown()
        server.server_close()


class _OutboxWatch:
    """Looks from time to time how the outbox stands, beside everything else: a disk may hang."""

    def __init__(self, state: StateDirectory) -> None:
        self.stop = threading.Event()
        self._state = state
        self._found: tuple[float, OutboxStatus] | None = None

    @property
    def status(self) -> OutboxStatus | None:
        """How it stands; None where that was long ago."""
        found = self._found
        return found[1] if found and boottime() - found[0] <= _FORGET_AFTER_S else None

    def run(self) -> None:
        """Looks until it is stopped."""
        while True:
            with suppress(AirPipelineError, OSError):  # the log of the collector says it
                self._found = boottime(), collector_state(self._state).outbox
            if self.stop.wait(LOOK_EVERY_S):
                return


class _Server(ThreadingHTTPServer):
    """A few requests at a time, each within its deadline."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, text: Callable[[], str]) -> None:
        self.text = text
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """In a thread of its own, if one is free."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Ends at the deadline, whatever the other side does: a socket's own timeout begins anew with each byte."""
        deadline = threading.Timer(WITHIN_S, _cut, (request,))
        deadline.daemon = True
        deadline.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            deadline.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Whoever asked has gone, or was too slow: nothing to say."""


def _cut(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD of /metrics; each connection is one request (HTTP/1.0)."""

    server: _Server
    server_version = "air-pipeline"
    sys_version = ""

    def do_GET(self) -> None:
        refused = why_not(self.path, self.headers.get("Host"), self.headers.get("Sec-Fetch-Site"))
        if refused is None:
            self._answer(200, CONTENT_TYPE, self.server.text())
        else:
            self._answer(refused[0], "text/plain; charset=utf-8", f"{refused[1]}\n")

    do_HEAD = do_GET  # noqa: N815 - names of http.server

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as in http.server
        """Scrapes are not worth a line each."""
