"""Requests to an InfluxDB that end, whatever answers: in time, in size, with the token of now.

Belongs here: one exchange over HTTP, and who it was that answered. Does not: what is asked (`influxql`), what an answer
means (`influxdb_failures`).
"""

import http.client
import io
import json as json_text
import select
import socket
import weakref
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

from air_pipeline.boottime import boottime
from air_pipeline.settings import InfluxConnection
from air_pipeline.storage.influxdb_failures import Doing, refusal, too_late, too_long, unknown_server, unreachable
from air_pipeline.storage.influxdb_token import Token
from air_pipeline.tls import trusted

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
        try:
            parts = urlsplit(connection.url)
            self._scheme, self._host, self._port = parts.scheme, parts.hostname, parts.port
        except ValueError:  # told when it is asked
            parts = urlsplit("")
            self._scheme, self._host, self._port = "", None, None
        self._prefix = quote(parts.path.rstrip("/"), safe="/%")
        self._idle: deque[_Connection] = deque()  # whose ends may be used from any thread
        weakref.finalize(self, _close_all, self._idle)  # a notebook seldom closes what it opened
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
        params: Mapping[str, str] | None = None,
        data: bytes | Mapping[str, str] | None = None,
        json: object = None,
    ) -> Answer:
        """Any request to the server, whatever its status; a token that is refused is looked up again.

        Args:
            method: of HTTP.
            path: goes on from the server's URL.
            silence_s: how long it may say nothing.
            within_s: how long all of it may take.
            most_bytes: of its body.
            headers: besides the token.
            params: what follows the path.
            data: the body, or the fields of a form.
            json: the body as JSON.

        Raises:
            StoreUnavailable: no answer, none in time, or none of that size.
        """
        silence_s = silence_s or self._timeout_s
        limits = _Limits(self._timeout_s, silence_s, within_s or _SILENCES * silence_s, most_bytes)
        body, content = _body(data, json)
        target = f"{path}?{urlencode(params)}" if params else path
        while True:
            sent = {"Authorization": f"Token {self.token.now()}", **content, **(headers or {})}
            answer = self._answer(method, target, body, sent, limits)
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
        _close_all(self._idle)

    def _answer(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], limits: "_Limits"
    ) -> Answer:
        end = boottime() + limits.within_s
        with ExitStack() as unless_whole:
            try:
                connection = self._taken(limits)
                unless_whole.callback(connection.close)
                connection.begin(limits, end)
                connection.request(method, self._prefix + target, body, {**_AS_IT_IS, **headers})
                response = connection.getresponse()
                unless_whole.callback(response.close)  # which has the socket, if it is not kept
                whole = _read(response, limits.most_bytes)
            except (http.client.HTTPException, OSError, ValueError) as error:
                if boottime() >= end:
                    raise too_late(self._connection, limits.within_s) from error
                raise unreachable(self._connection, error) from error
            if len(whole) > limits.most_bytes:
                raise too_long(self._connection, limits.most_bytes)
            unless_whole.pop_all()
        self._idle.append(connection)
        return Answer(response.status, cast("Mapping[str, str]", response.headers), whole)

    def _taken(self, limits: "_Limits") -> "_Connection":
        """A connection that is open, or may be opened."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_over():
                return connection
            connection.close()
        if not self._host or self._scheme not in {"http", "https"}:
            raise ValueError("its URL does not begin with http:// or https:// and a host")
        if self._scheme == "https":
            return _SecureConnection(self._host, self._port, timeout=limits.connect_s, context=trusted())
        return _Connection(self._host, self._port, timeout=limits.connect_s)


def _close_all(connections: "deque[_Connection]") -> None:
    while connections:
        connections.pop().close()


def says_influxdb(headers: Mapping[str, str]) -> bool:
    """Whether an answer has the headers that InfluxDB puts into each; one that was built by hand leaves them empty."""
    return "X-Influxdb-Build" in headers or "X-Influxdb-Version" in headers


@dataclass(frozen=True, slots=True)
class _Limits:
    connect_s: float
    silence_s: float
    within_s: float
    most_bytes: int


_AS_IT_IS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "air-pipeline"}


def _body(data: bytes | Mapping[str, str] | None, json: object) -> tuple[bytes | None, dict[str, str]]:
    if json is not None:
        return json_text.dumps(json).encode(), {"Content-Type": "application/json"}
    if isinstance(data, Mapping):
        return urlencode(data).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
    return data, {}


def _read(response: http.client.HTTPResponse, most_bytes: int) -> bytes:
    """The body; a little more than `most_bytes` where it is longer."""
    parts, size = [], 0
    while size <= most_bytes and (part := response.read(_AT_ONCE)):
        parts.append(part)
        size += len(part)
    if size <= most_bytes and response.length:  # which a body in pieces tells by itself
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(parts)


class _Connection(http.client.HTTPConnection):
    """A connection that is kept, and each of whose exchanges has an end."""

    def begin(self, limits: _Limits, end: float) -> None:
        """The limits of the next exchange; those of connecting hold until then."""
        self._limits, self._end = limits, end
        if self.sock is not None:
            self.sock.settimeout(_left(limits, end))

    def connect(self) -> None:
        """Connects; what is sent may take as long as what comes may be silent."""
        super().connect()
        self.sock.settimeout(_left(self._limits, self._end))

    def response_class(  # type: ignore[override] # there it is the class itself
        self,
        sock: socket.socket,
        *arguments: Any,  # noqa: ANN401 - handed on
        **named: Any,  # noqa: ANN401
    ) -> http.client.HTTPResponse:
        """Reads what comes within the limits of now."""
        watched = cast("socket.socket", _Watched(sock, self._limits, self._end))  # for as much as is asked of it
        return http.client.HTTPResponse(watched, *arguments, **named)

    def is_over(self) -> bool:
        """Whether the server has closed it, or says what nobody has asked for."""
        if self.sock is None:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    pass


class _Watched(io.RawIOBase):
    """What comes by a socket, each stretch of it within its limits: the file that a response is read from."""

    def __init__(self, connection: socket.socket, limits: _Limits, end: float) -> None:
        super().__init__()
        self._connection, self._limits, self._end = connection, limits, end
        self._file = connection.makefile("rb", buffering=0)

    def makefile(self, *_: object) -> io.BufferedReader:
        """Itself, buffered."""
        return io.BufferedReader(self, _AT_ONCE)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, into: Any, /) -> int:  # noqa: ANN401 - any buffer
        """Some bytes."""
        self._connection.settimeout(_left(self._limits, self._end))
        return self._file.readinto(into) or 0

    def close(self) -> None:
        """Lets go of the socket."""
        self._file.close()
        super().close()


def _left(limits: _Limits, end: float) -> float:
    """How long the next wait may be, in seconds.

    Raises:
        TimeoutError: the end has come.
    """
    left = min(limits.silence_s, end - boottime())
    if left <= 0:
        raise TimeoutError("timed out")
    return left
