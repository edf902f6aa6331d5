"""One bounded GET, told as a value: whatever a device or its network does, an `Answer` comes of it.

Belongs here: the transport, its limits and its outcomes. Does not: what the body says (`document`), when to ask and how
long to wait (`collection`).

What the table of outcomes leaves open is decided here:

- an answer that is not HTTP, header lines that are none, too long or too many, contradicting lengths: `http_error`;
- a chunked body that ends early, a TLS handshake that fails, a URL that cannot be asked: `unreachable`; so is whatever
  the kernel says of the way (no route, no network, a firewall, no more sockets), but for silence: `timeout`;
- a body that its own Content-Encoding does not fit: `rejected`.
"""

import http.client
import io
import math
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any
from urllib.parse import urljoin

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from air_pipeline.boottime import boottime
from air_pipeline.devices.answers import Answer, Failure, failed
from air_pipeline.devices.login import Challenges, basic, without_login
from air_pipeline.devices.polls import Outcome
from air_pipeline.devices.sockets import LimitedSocket, addresses_of, shut_down
from air_pipeline.settings import NO_ACCESS, Access
from air_pipeline.showing import plain, without_secrets

MAX_BODY_BYTES = 64 * 1024
"""Longest document that is read, after decompression: a station's has 400 bytes."""

OK_STATUS = 200
_challenges = Challenges()
NEXT_ADDRESS_S = 0.25
"""So long an address is waited for before the next one is tried (RFC 8305, 5: connection attempt delay)."""
_GRACE_S = 0.05
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NO_RETRIES = urllib3.Retry(0, read=False)


class Exchange:
    """One GET, which another thread may end at any time.

    `requests` restarts its timeout with every byte and has none for the look-up of names, so the deadline is the
    caller's: it waits as long as it likes and then calls `abort`. Without that, `run` ends when the device has been
    silent for `timeout_s`. It holds one file descriptor, two with TLS.
    """

    def __init__(self, url: str, timeout_s: float, access: Access = NO_ACCESS) -> None:
        """Nothing is sent yet.

        Args:
            url: what to fetch, `http` or `https`.
            timeout_s: the longest silence of the device, in seconds.
            access: who asks, and what else is sent.
        """
        self.url = url
        self._access = access
        self._timeout_s = timeout_s
        self._deadline = 0.0
        self._status: int | None = None
        self._lock = threading.Lock()
        self._challenged: Sequence[str] = ()
        self._aborted = False
        self._secure = False
        self._looked_up_s: float | None = None
        self._looking_since: float | None = None
        self._held: tuple[socket.socket, io.RawIOBase] | None = None

    def run(self) -> Answer:
        """Asks once and closes the connection. Blocks; raises nothing; aborted or late is a `timeout`."""
        self._deadline = boottime() + self._timeout_s
        try:
            answer = self._ask()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in the layers below is one failed poll
            answer = failed(error, self._status)
        finally:
            self._release()
        # At a kernel's timeout the layers above see an end of the answer: what comes late is judged by the clock.
        late = self._aborted or boottime() >= self._deadline
        return self.timed_out() if late else answer

    def abort(self) -> None:
        """Makes `run` end soon, whatever it waits for; a look-up of a name is given up as soon as it returns."""
        with self._lock:
            self._aborted = True
            if self._held is not None:
                shut_down(self._held[0])

    def timed_out(self) -> Answer:
        """What an aborted exchange amounts to, also while its thread still ends.

        Where the look-up of the name took most of the time, that is what it says.
        """
        if self._looking_since is not None and self._looked_up_s is None:
            reason = f"{Failure.LOOK_UP}, more than {self._timeout_s:g} s"
        elif (looked_up_s := self._looked_up_s or 0.0) > self._timeout_s / 2:
            reason = f"{Failure.LOOK_UP}, {looked_up_s:.1f} of {self._timeout_s:g} s"
        else:
            reason = f"no complete answer within {self._timeout_s:g} s"
        return Answer(Outcome.TIMEOUT, self._status, reason=reason)

    def connect(self, host: str, port: int) -> socket.socket:
        """Called by this exchange's connection: opens the socket, known to `abort` before it connects.

        Of several addresses one is tried after the other: each has a moment first, then those that were silent have
        their share of the time that is left. An attempt is closed before the next begins.

        Raises:
            OSError: if no address of the host answers, or the exchange was aborted.
        """
        failure: OSError = OSError(f"{host} has no address")
        addresses = self._addresses(host, port)
        if len(addresses) > 1:
            silent = []
            for number, one in enumerate(addresses):
                try:
                    return self._connected(one, len(addresses) - number, NEXT_ADDRESS_S)
                except (TimeoutError, BlockingIOError):
                    silent.append(one)
                except OSError as error:
                    failure = error
            addresses = silent
        for number, one in enumerate(addresses):
            try:
                return self._connected(one, len(addresses) - number)
            except OSError as error:
                failure = error
        raise failure

    def _addresses(self, host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
        self._looking_since = boottime()
        addresses = addresses_of(host, port)
        self._looked_up_s = boottime() - self._looking_since
        return addresses

    def _connected(
        self, to: tuple[socket.AddressFamily, Any], shares: int, longest_s: float = math.inf
    ) -> socket.socket:
        family, address = to
        connection = (socket.socket if self._secure else LimitedSocket)(family, socket.SOCK_STREAM)
        try:
            self._limit(connection, shares, longest_s)
            self._hold(connection)
            connection.connect(address)
            if shares > 1 or longest_s < math.inf:
                self._limit(connection)
        except OSError:
            connection.close()
            raise
        return connection

    def _limit(self, connection: socket.socket, shares: int = 1, longest_s: float = math.inf) -> None:
        left_s = max(min((self._deadline - boottime()) / shares, longest_s), 0.001)
        if isinstance(connection, LimitedSocket):
            connection.limit(left_s)
        else:
            connection.settimeout(left_s)

    def _ask(self) -> Answer:
        target = _target(self.url)
        user = self._access.user
        if user is None:
            return self._ask_once(target, self._access.headers)
        # A challenge is answered once in the same poll, on a connection of its own; the next poll answers it at once.
        for is_last in (False, True):
            said = _challenges.authorization(self.url, user, self._access.password, target.path)
            headers = {**self._access.headers, **({"Authorization": said} if said else {})}
            answer = self._ask_once(target, headers)
            if answer.status != HTTPStatus.UNAUTHORIZED or is_last:
                break
            if not _challenges.take(self.url, user, self._challenged):
                return replace(answer, reason=f"{answer.reason}; it wants a login of another kind than basic or digest")
        if answer.status == HTTPStatus.UNAUTHORIZED:
            return replace(answer, reason=f"{answer.reason}; it does not take this user and password")
        return answer

    def _ask_once(self, target: "_Target", headers: Mapping[str, str]) -> Answer:
        self._secure = target.scheme == "https"
        request = target.request
        if headers:
            request = request.copy()
            request.headers.update(headers)
        with closing(_Adapter(target, self)) as adapter:
            response = adapter.send(request, stream=True, timeout=self._timeout_s)
            with closing(response):
                self._status = response.status_code
                if response.status_code == OK_STATUS:
                    return _read_body(response)
                self._challenged = response.raw.headers.getlist("WWW-Authenticate")
                return Answer(Outcome.HTTP_ERROR, response.status_code, reason=_of_status(response))

    def _hold(self, connection: socket.socket) -> None:
        # The layers above close the socket when they like, and its number may be another file's by the time of an
        # abort: an open file object keeps it. TLS takes the number away from the socket: there a duplicate is held.
        handle = connection.dup() if self._secure else connection
        keeper = handle.makefile("rb", buffering=0)
        self._release()
        with self._lock:
            self._held = (handle, keeper)
            if self._aborted:
                raise OSError("aborted")

    def _release(self) -> None:
        with self._lock:
            held, self._held = self._held, None
        for part in held or ():
            part.close()


def get(url: str, timeout_s: float, access: Access = NO_ACCESS) -> Answer:
    """One GET that never takes longer than `timeout_s` seconds, whatever hangs: name look-up, headers, body, TLS.

    For callers without a watchdog of their own: it starts a thread for the exchange, and leaves it behind where a name
    look-up hangs.
    """
    exchange = Exchange(url, timeout_s, access)
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(exchange.run()), name="get", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if answers:
        return answers[0]
    exchange.abort()
    thread.join(_GRACE_S)
    return exchange.timed_out()


class _Adapter(HTTPAdapter):
    """requests' transport for one exchange: no pool kept, no proxy, no second try, its socket known to the exchange."""

    def __init__(self, target: "_Target", exchange: Exchange) -> None:
        super().__init__(max_retries=_NO_RETRIES)
        if target.scheme == "https":
            self._pool: HTTPConnectionPool = _SecurePool(
                target.host, target.port, retries=_NO_RETRIES, exchange=exchange, ssl_context=_tls_context()
            )
        else:
            self._pool = _PlainPool(target.host, target.port, retries=_NO_RETRIES, exchange=exchange)
        self._path = target.path

    def init_poolmanager(self, *_: object, **__: object) -> None:
        """Nothing: a connection is never used twice."""

    def close(self) -> None:
        """Closes what the exchange opened."""
        self._pool.close()

    def get_connection_with_tls_context(self, *_: object, **__: object) -> HTTPConnectionPool:
        """The pool of this exchange, whatever the environment says of proxies."""
        return self._pool

    def cert_verify(self, conn: HTTPConnectionPool, *_: object, **__: object) -> None:
        """Certificates are always verified, by the context made once (loading the bundle takes 15 ms)."""
        if isinstance(conn, HTTPSConnectionPool):
            conn.cert_reqs = "CERT_REQUIRED"

    def build_response(self, req: requests.PreparedRequest, resp: urllib3.BaseHTTPResponse) -> requests.Response:
        """Status and body: cookies, encodings and the like mean nothing here and cost a tenth of the exchange."""
        response = requests.Response()
        response.request, response.status_code, response.raw = req, resp.status, resp
        return response

    def request_url(self, *_: object, **__: object) -> str:
        """The path, known beforehand."""
        return self._path


class _Response(http.client.HTTPResponse):
    """Header lines that cannot be read are an error: the length of the body may have been among them."""

    def begin(self) -> None:
        """Reads status and headers."""
        super().begin()
        if self.msg.defects or (self.msg.get_payload() and not self.msg.is_multipart()):
            raise http.client.HTTPException("a header line has no name")


class _NoConnectionError(urllib3.exceptions.HTTPError):
    """Keeps an error of connecting from urllib3, which takes some of them for those of a request that was sent."""


def _opened(exchange: Exchange, host: str, port: int) -> socket.socket:
    try:
        return exchange.connect(host, port)
    except OSError as error:
        raise _NoConnectionError from error


class _PlainConnection(HTTPConnection):
    """A connection whose socket the exchange opens."""

    response_class = _Response

    def __init__(self, host: str, port: int | None = None, *, exchange: Exchange, **options: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(host, port, **options)
        self._exchange = exchange

    def _new_conn(self) -> socket.socket:
        return _opened(self._exchange, self.host, self.port)


class _SecureConnection(HTTPSConnection):
    """The same with TLS."""

    response_class = _Response

    def __init__(self, host: str, port: int | None = None, *, exchange: Exchange, **options: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(host, port, **options)
        self._exchange = exchange

    def _new_conn(self) -> socket.socket:
        return _opened(self._exchange, self.host, self.port)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL taken apart and its request, made once."""

    scheme: str
    host: str
    port: int
    path: str
    request: requests.PreparedRequest


@lru_cache(maxsize=8192)
def _target(url: str) -> _Target:
    headers = {
        "User-Agent": f"air-pipeline/{version('air-pipeline')}",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    where, login = without_login(url)
    if login:
        headers["Authorization"] = basic(*login)
    request = requests.PreparedRequest()
    request.prepare(method="GET", url=where, headers=headers)
    parts = urllib3.util.parse_url(str(request.url))
    if parts.scheme not in {"http", "https"} or not parts.host:
        raise requests.exceptions.InvalidURL(
            f"{without_secrets(url)} is not a URL that starts with http:// or https://"
        )
    # Without a port, http.client takes the end of an IPv6 address for one.
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return _Target(parts.scheme, parts.host, port, request.path_url, request)


@cache
def _tls_context() -> ssl.SSLContext:
    # What requests trusts, and what the machine's owner added to it, such as the authority of a private network.
    context = ssl.create_default_context(cafile=requests.utils.DEFAULT_CA_BUNDLE_PATH)
    context.load_default_certs()
    return context


def _read_body(response: requests.Response) -> Answer:
    body = response.raw.read(MAX_BODY_BYTES + 1, decode_content=True)
    if len(body) > MAX_BODY_BYTES:
        return Answer(Outcome.TOO_LARGE, OK_STATUS, reason=f"the document is longer than {MAX_BODY_BYTES // 1024} KiB")
    return Answer(None, OK_STATUS, body)


def _of_status(response: requests.Response) -> str:
    said = f"the device answered with status {response.status_code}"
    location = response.raw.headers.get("Location")
    return (
        f"{said} and leads to {plain(without_secrets(urljoin(str(response.request.url), location)))[:200]}"
        if location
        else said
    )
