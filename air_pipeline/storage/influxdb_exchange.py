"""Requests to an InfluxDB that end, whatever answers: in time, in size, with the token of now.

Belongs here: one exchange over HTTP, and who it was that answered. Does not: what is asked (`influxql`), what an answer
means (`influxdb_failures`).
"""

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.influxdb_failures import Doing, refusal, too_late, too_long, unknown_server, unreachable
from air_pipeline.storage.influxdb_token import Token

LONGEST_ANSWER = 1_000_000
"""Bytes of an answer that brings no rows."""
_AT_ONCE = 65_536
# A write or a look at the server may take twice as long as it may be silent.
_SILENCES = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: its status, headers (whose names are without case) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Exchange:
    """Exchanges with one server. Safe from several threads: each has a connection of its own, kept for the next."""

    def __init__(self, connection: InfluxConnection, timeout_s: float) -> None:
        """Connects at the first request.

        Args:
            connection: server, token and bucket.
            timeout_s: for a connection to be made, and for each stretch of silence.

        Raises:
            StoreRefused: the token has characters that no token has.
        """
        self.token = Token(connection)
        self._connection = connection
        self._timeout_s = timeout_s
        self._idle: deque[requests.Session] = deque()  # whose ends may be used from any thread
        self._is_influxdb = False

    def request(
        self,
        method: str,
        path: str,
        *,
        silence_s: float | None = None,
        within_s: float | None = None,
        most_bytes: int = LONGEST_ANSWER,
        headers: Mapping[str, str] | None = None,
        **arguments: Any,  # noqa: ANN401 - those of requests
    ) -> Answer:
        """Any request to the server, whatever its status; a token that is refused is looked up again.

        Args:
            method: of HTTP.
            path: goes on from the server's URL.
            silence_s: how long it may say nothing.
            within_s: how long all of it may take.
            most_bytes: of its body.
            headers: besides the token.
            arguments: those of `requests`.

        Raises:
            StoreUnavailable: no answer, none in time, or none of that size.
        """
        silence_s = silence_s or self._timeout_s
        arguments["timeout"] = urllib3.Timeout(connect=self._timeout_s, read=silence_s)
        limits = (within_s or _SILENCES * silence_s, most_bytes)
        while True:
            sent = {"Authorization": f"Token {self.token.now()}", **(headers or {})}
            answer = self._answer(method, path, limits, headers=sent, **arguments)
            if answer.status != HTTPStatus.UNAUTHORIZED or not self.token.read_again():
                return answer

    def write(self, lines: bytes) -> None:
        """Writes lines of points, times in ms, into the bucket; all of them are there when it returns.

        Raises:
            StoreError: as in the table of `influxdb_failures`.
        """
        answer = self.request(
            "POST",
            "/api/v2/write",
            params={"org": self._connection.org, "bucket": self._connection.bucket, "precision": "ms"},
            data=lines,
            headers={"Content-Type": "text/plain; charset=utf-8"},
        )
        # A login page answers 200 to everything: what it took must not leave the outbox. Nor what anybody else took.
        if answer.status != HTTPStatus.NO_CONTENT:
            raise refusal(self._connection, Doing.WRITE, answer.status, answer.headers, answer.body)
        self.require_influxdb(answer)

    def require_influxdb(self, answer: Answer) -> None:
        """Makes sure that it is an InfluxDB that gave this answer.

        By a header, which comes with each answer; where a proxy takes it away, by `/health`, asked once.

        Raises:
            StoreRefused: it is somebody else.
        """
        if not (self._is_influxdb or says_influxdb(answer.headers)):
            health = self.request("GET", "/health")
            self._is_influxdb = says_influxdb(health.headers) or b'"influxdb"' in health.body
            if not self._is_influxdb:
                raise unknown_server(self._connection)

    def close(self) -> None:
        """Frees the connections that are idle."""
        while self._idle:
            self._idle.pop().close()

    def _answer(self, method: str, path: str, limits: tuple[float, int], **arguments: Any) -> Answer:  # noqa: ANN401
        within_s, most_bytes = limits
        try:
            session = self._idle.pop()
        except IndexError:
            session = _session()
        cut = _Cut()
        try:
            with cut.after(within_s):
                url = self._connection.url.rstrip("/") + path
                response = session.request(method, url, allow_redirects=False, stream=True, **arguments)
                with response:
                    body = bytearray()  # which grows without being copied each time: an answer is a thousand parts
                    for part in response.iter_content(_AT_ONCE):
                        body += part
                        if len(body) > most_bytes:
                            break
        except (requests.RequestException, OSError) as error:
            if cut.is_made:
                raise too_late(self._connection, within_s) from error
            raise unreachable(self._connection, error) from error
        finally:
            self._idle.append(session)
        if cut.is_made:  # an answer without a length ends with its connection
            raise too_late(self._connection, within_s)
        if len(body) > most_bytes:
            raise too_long(self._connection, most_bytes)
        return Answer(response.status_code, response.headers, bytes(body))


def says_influxdb(headers: Mapping[str, str]) -> bool:
    """Whether an answer has the headers that InfluxDB puts into each; one that was built by hand leaves them empty."""
    return "X-Influxdb-Build" in headers or "X-Influxdb-Version" in headers


class _Cut:
    """Ends the exchange of this thread from outside, at a time."""

    def __init__(self) -> None:
        self.is_made = False
        self.socket: socket.socket | None = None

    @contextlib.contextmanager
    def after(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, self._make)
        timer.daemon = True
        timer.start()
        _of_thread.cut = self
        try:
            yield
        finally:
            _of_thread.cut = None
            timer.cancel()

    def _make(self) -> None:
        self.is_made = True
        if self.socket is not None:
            with contextlib.suppress(OSError):
                # Not that of a socket for TLS, which would take itself apart under its reader.
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


class _OfThread(threading.local):
    cut: _Cut | None = None


_of_thread = _OfThread()


class _Watched(HTTPConnection):
    def getresponse(self) -> Any:  # noqa: ANN401 - as there
        if _of_thread.cut is not None:
            _of_thread.cut.socket = self.sock
        return super().getresponse()


class _WatchedTls(HTTPSConnection):
    def getresponse(self) -> Any:  # noqa: ANN401 - as there
        if _of_thread.cut is not None:
            _of_thread.cut.socket = self.sock
        return super().getresponse()


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - as there
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a .netrc would replace the token
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    return session
