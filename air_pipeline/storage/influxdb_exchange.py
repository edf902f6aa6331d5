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
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self, TypedDict, Unpack, cast
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


class How(TypedDict, total=False):
    """What may be said of a request.

    Attributes:
        silence_s: how long the server may say nothing.
        within_s: how long all of the answer may take.
        most_bytes: of its body.
        headers: besides the token.
        params: what follows the path.
        data: the body, or the fields of a form.
        json: the body as JSON.
    """

    silence_s: float
    within_s: float
    most_bytes: int
    headers: Mapping[str, str]
    params: Mapping[str, str]
    data: bytes | Mapping[str, str]
    json: object


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
        self.connection = connection
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

    def request(self, method: str, path: str, **how: Unpack[How]) -> Answer:
        """Any request to the server, whatever its status; a token that is refused is looked up again.

        Args:
            method: of HTTP.
            path: goes on from the server's URL.
            how: see there.

        Raises:
            StoreUnavailable: no answer, none in time, or none of that size.
        """
        with self.begin(method, path, **how) as begun:
            return begun.answer()

    def begin(self, method: str, path: str, **how: Unpack[How]) -> "Begun":
        """Sends what `request` sends; whoever asked reads the answer when he comes to it."""
        silence_s = how.get("silence_s") or self._timeout_s
        within_s = how.get("within_s") or _SILENCES * silence_s
        limits = _Limits(self._timeout_s, silence_s, within_s, how.get("most_bytes", LONGEST_ANSWER))
        body, content = _body(how.get("data"), how.get("json"))
        target = f"{path}?{urlencode(params)}" if (params := how.get("params")) else path
        headers = {**_AS_IT_IS, **content, **how.get("headers", {})}
        return Begun(self, _Request(method, self._prefix + target, body, headers), limits)

    def write(self, lines: bytes) -> None:
        """Writes lines of points, times in ms, into the bucket; all of them are there when it returns.

        Raises:
            StoreError: as in the table of `influxdb_failures`.
        """
        answer = self.request(
            "POST",
            "/api/v2/write",
            params={"org": self.connection.org, "bucket": self.connection.bucket, "precision": "ms"},
            data=lines,
            headers={"Content-Type": "text/plain; charset=utf-8"},
        )
        # A login page answers 200 to everything: what it took must not leave the outbox. Nor what anybody else took.
        if answer.status != HTTPStatus.NO_CONTENT:
            raise refusal(self.connection, Doing.WRITE, answer.status, answer.headers, answer.body)
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
                raise unknown_server(self.connection)

    def keep(self, connection: "_Connection") -> None:
        """Keeps a connection whose answer was read to its end."""
        self._idle.append(connection)

    def close(self) -> None:
        """Frees the connections that are idle."""
        _close_all(self._idle)

    def taken(self, limits: "_Limits") -> "_Connection":
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


class Begun:
    """A request that is on its way, whose answer comes whole or in parts.

    Left before the end of its answer, it closes its connection; else that is kept for the next request.
    """

    def __init__(self, exchange: Exchange, request: "_Request", limits: "_Limits") -> None:
        """Sends it.

        Raises:
            StoreUnavailable: there is nobody to send it to.
        """
        self._exchange, self._request, self._limits = exchange, request, limits
        self._response: http.client.HTTPResponse | None = None
        self._send()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes what was not read to its end."""
        self._unless_whole.close()

    def answer(self) -> Answer:
        """All of the answer."""
        body = b"".join(self.parts())
        return Answer(self.status, cast("Mapping[str, str]", self._awaited().headers), body)

    @property
    def status(self) -> int:
        """That of the answer, which is waited for."""
        return self._awaited().status

    def parts(self) -> Iterator[bytes]:
        """The body as it comes.

        Raises:
            StoreUnavailable: it is not whole, comes too late or is too long.
        """
        response, size = self._awaited(), 0
        while part := self._next_of(response):
            size += len(part)
            if size > self._limits.most_bytes:
                raise too_long(self._exchange.connection, self._limits.most_bytes)
            yield part
        self._unless_whole.pop_all()
        self._exchange.keep(self._connection)

    def _send(self) -> None:
        self._end = boottime() + self._limits.within_s
        sent = {"Authorization": f"Token {self._exchange.token.now()}", **self._request.headers}
        with self._in_words(), ExitStack() as unless_whole:
            self._connection = self._exchange.taken(self._limits)
            unless_whole.callback(self._connection.close)
            self._connection.begin(self._limits, self._end)
            self._connection.request(self._request.method, self._request.target, self._request.body, sent)
            self._unless_whole = unless_whole.pop_all()

    def _awaited(self) -> http.client.HTTPResponse:
        """The answer, of which the head is there; that to the token of now, if another one was refused."""
        while self._response is None:
            with self._in_words():
                response = self._connection.getresponse()
            self._unless_whole.callback(response.close)  # which has the socket, if it is not kept
            if response.status == HTTPStatus.UNAUTHORIZED and self._exchange.token.read_again():
                self._unless_whole.close()
                self._send()
            else:
                self._response = response
        return self._response

    def _next_of(self, response: http.client.HTTPResponse) -> bytes:
        with self._in_words():
            part = response.read(_AT_ONCE)
            if not part and response.length:  # which a body in pieces tells by itself
                raise http.client.IncompleteRead(b"", response.length)
            return part

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except (http.client.HTTPException, OSError, ValueError) as error:
            if boottime() >= self._end:
                raise too_late(self._exchange.connection, self._limits.within_s) from error
            raise unreachable(self._exchange.connection, error) from error


def _close_all(connections: "deque[_Connection]") -> None:
    while connections:
        connections.pop().close()


def says_influxdb(headers: Mapping[str, str]) -> bool:
    """Whether an answer has the headers that InfluxDB puts into each; one that was built by hand leaves them empty."""
    return "X-Influxdb-Build" in headers or "X-Influxdb-Version" in headers


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    target: str
    body: bytes | None
    headers: Mapping[str, str]


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
